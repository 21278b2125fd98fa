#include <gtest/gtest.h>

#include "http/head.hpp"
#include "http/message.hpp"

namespace cistern::http {
namespace {

TEST(Headers, NamesCompareWithoutCaseAndOrderIsKept) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("X-One", "1");
  headers.add("x-one", "2");
  EXPECT_EQ(headers.get("CONTENT-TYPE"), "a");
  EXPECT_EQ(headers.get("X-ONE"), "1");
  EXPECT_EQ(headers.count("x-One"), 2U);
  EXPECT_EQ(headers.get("absent"), "");
  std::string all;
  for (const auto& [name, value] : headers.all()) all += std::string(name) + "=" + std::string(value) + ";";
  EXPECT_EQ(all, "Content-Type=a;X-One=1;x-one=2;");
}

TEST(Headers, SetReplacesEveryFieldOfThatName) {
  Headers headers;
  headers.add("A", "1");
  headers.add("B", "2");
  headers.add("a", "3");
  headers.set("A", headers.get("B"));
  EXPECT_EQ(headers.count("a"), 1U);
  EXPECT_EQ(headers.get("a"), "2");
}

TEST(Headers, AValueMayBeAViewOfAnotherField) {
  Headers headers;
  headers.add("first", std::string(200, 'v'));
  for (int i = 0; i < 50; ++i) headers.add("copy", headers.get("first"));
  for (const auto& [name, value] : headers.all()) EXPECT_EQ(value, std::string(200, 'v'));
}

TEST(Headers, EqualityIsOfFieldsAndNotOfHowTheyCameThere) {
  Headers a;
  a.add("gone", "x");
  a.add("A", "1");
  a.remove("gone");
  Headers b;
  b.add("A", "1");
  EXPECT_EQ(a, b);
  b.add("A", "2");
  EXPECT_NE(a, b);
}

TEST(HasToken, FindsOneOfACommaSeparatedList) {
  EXPECT_TRUE(has_token("Keep-Alive , CLOSE", "close"));
  EXPECT_TRUE(has_token("close", "close"));
  EXPECT_FALSE(has_token("closed, unclose", "close"));
  EXPECT_FALSE(has_token("", "close"));
}

TEST(Request, PathAndQueryAreTheTwoSidesOfTheFirstQuestionMark) {
  Request request;
  request.target = "/v2/a?ns=b?c";
  EXPECT_EQ(request.path(), "/v2/a");
  EXPECT_EQ(request.query(), "ns=b?c");
  request.target = "/v2/";
  EXPECT_EQ(request.query(), "");
}

TEST(QueryValues, DecodesOnceAndTakesBrokenEscapesLiterally) {
  EXPECT_EQ(query_values("ns=docker.io&x=1&ns=a%2fb", "ns"), (std::vector<std::string>{"docker.io", "a/b"}));
  EXPECT_EQ(query_values("ns=%zz&ns&ns=", "ns"), (std::vector<std::string>{"%zz", "", ""}));
  EXPECT_EQ(query_values("n%73=%2541", "ns"), (std::vector<std::string>{"%41"}));
  EXPECT_TRUE(query_values("", "ns").empty());
}

TEST(HttpDate, IsTheFormOfRfc9110) {
  EXPECT_EQ(http_date(std::chrono::sys_seconds{}), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(std::chrono::sys_seconds(std::chrono::seconds(784111777))), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(StatusOf, AnErrorKeepsItsMeaning) {
  const std::vector<std::pair<ErrorCode, unsigned>> table = {
      {ErrorCode::kInvalid, 400},         {ErrorCode::kNotFound, 404}, {ErrorCode::kGone, 410},     {ErrorCode::kForbidden, 403},
      {ErrorCode::kTooManyRequests, 429}, {ErrorCode::kTimeout, 504},  {ErrorCode::kUpstream, 502}, {ErrorCode::kCorrupt, 502},
      {ErrorCode::kUnavailable, 503},     {ErrorCode::kNoSpace, 503},  {ErrorCode::kIo, 500},       {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : table) EXPECT_EQ(status_of(Error{code, ""}), status) << to_string(code);
}

TEST(Response, OfAnErrorSaysWhatAndWhenToComeBack) {
  const Response response = Response::of(Error{ErrorCode::kTooManyRequests, "slow down", std::chrono::seconds(7)});
  EXPECT_EQ(response.status, 429U);
  EXPECT_EQ(response.headers.get("Retry-After"), "7");
  EXPECT_EQ(std::get<MemorySlice>(std::get<Slice>(response.body.content)).bytes, "slow down\n");
}

TEST(AppendHead, LeavesOutWhatIsTheServersAndWhatWouldBeAnotherResponse) {
  Response response;
  response.status = 404;
  response.headers.add("X-A", "1");
  response.headers.add("content-length", "99");
  response.headers.add("Transfer-Encoding", "chunked");
  response.headers.add("Connection", "upgrade");
  response.headers.add("X-Evil", "a\r\nSet-Cookie: b");
  DateLine date;
  Framing framing;
  framing.content_length = 5;
  framing.connection = "close";
  std::string head;
  append_head(head, response, framing, date);
  EXPECT_EQ(head, "HTTP/1.1 404 Not Found\r\n" + std::string(date.now()) + "X-A: 1\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace cistern::http
