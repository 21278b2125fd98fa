// What must be refused, and that refusal does not depend on how the bytes arrive.
#include <gtest/gtest.h>

#include "http/parser.hpp"

namespace cistern::http {
namespace {

using State = ParsedHead::State;

struct Refusal {
  const char* why;
  std::string request;
  unsigned status;
};

class Refused : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refused, WhenWholeAndWhenByteByByte) {
  const Refusal& refusal = GetParam();
  Request request;
  const ParsedHead whole = parse_head(refusal.request, {}, request);
  EXPECT_EQ(whole.state, State::kRefused) << refusal.why;
  EXPECT_EQ(whole.refused_status, refusal.status) << refusal.why;
  ParsedHead head;
  for (std::size_t size = 0; size <= refusal.request.size() && head.state == State::kIncomplete; ++size) {
    head = parse_head(std::string_view(refusal.request).substr(0, size), {}, request);
  }
  EXPECT_EQ(head.refused_status, refusal.status) << refusal.why;
}

std::string with(const std::string& fields) { return "GET /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"; }

INSTANTIATE_TEST_SUITE_P(
    HiddenRequests, Refused,
    ::testing::Values(
        Refusal{"chunked GET", with("Transfer-Encoding: chunked\r\n"), 400},
        Refusal{"a coding that is almost chunked", with("Transfer-Encoding: xchunked\r\n"), 400},
        Refusal{"an empty coding", with("Transfer-Encoding:\r\n"), 400}, Refusal{"case", with("tRANSFER-eNCODING: chunked\r\n"), 400},
        Refusal{"a GET with a body", with("Content-Length: 5\r\n"), 400},
        Refusal{"HEAD with a body", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 400},
        Refusal{"two lengths", with("Content-Length: 0\r\nContent-Length: 5\r\n"), 400},
        Refusal{"two equal lengths", with("Content-Length: 0\r\nContent-Length: 0\r\n"), 400},
        Refusal{"a list of lengths", with("Content-Length: 0, 0\r\n"), 400},
        Refusal{"a signed length", with("Content-Length: +0\r\n"), 400}, Refusal{"a negative length", with("Content-Length: -1\r\n"), 400},
        Refusal{"a hex length", with("Content-Length: 0x0\r\n"), 400}, Refusal{"an empty length", with("Content-Length: \r\n"), 400},
        Refusal{"an overflowing length", with("Content-Length: 18446744073709551616\r\n"), 400},
        Refusal{"length and coding", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        Refusal{"a space before the colon", with("Transfer-Encoding : chunked\r\n"), 400},
        Refusal{"a folded header", with("X: a\r\n Transfer-Encoding: chunked\r\n"), 400},
        Refusal{"a folded first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
        Refusal{"a folded header by tab", with("X: a\r\n\tb\r\n"), 400},
        Refusal{"a bare line feed in the header", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
        Refusal{"a bare line feed after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        Refusal{"a bare carriage return", with("X: a\rTransfer-Encoding: chunked\r\n"), 400},
        Refusal{"a NUL", with(std::string("X: a\0b\r\n", 8)), 400}, Refusal{"a control character in a value", with("X: a\x01\r\n"), 400},
        Refusal{"a control character in a name", with("X\x01: a\r\n"), 400}, Refusal{"a header without a colon", with("X\r\n"), 400},
        Refusal{"a header without a name", with(": a\r\n"), 400}, Refusal{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
        Refusal{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        Refusal{"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400}));

INSTANTIATE_TEST_SUITE_P(RequestLines, Refused,
                         ::testing::Values(Refusal{"absolute form", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"authority form", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405},
                                           Refusal{"asterisk of another method", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"HTTP/0.9", "GET /\r\n\r\n", 400},
                                           Refusal{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"a control character in the target", "GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"a byte that must be escaped", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"a lower-case protocol", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"a long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
                                           Refusal{"version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
                                           Refusal{"version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
                                           Refusal{"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
                                           Refusal{"a TLS client", std::string("\x16\x03\x01\x02\x00\x01", 6), 400}));

INSTANTIATE_TEST_SUITE_P(Sizes, Refused,
                         ::testing::Values(Refusal{"a long target", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
                                           Refusal{"a target without end", "GET /" + std::string(9000, 'a'), 414},
                                           Refusal{"a long header", with("X: " + std::string(17000, 'a') + "\r\n"), 431},
                                           Refusal{"a header without end", "GET / HTTP/1.1\r\nX: " + std::string(17000, 'a'), 431},
                                           Refusal{"many headers",
                                                   [] {
                                                     std::string fields;
                                                     for (int i = 0; i < 100; ++i) fields += "X: a\r\n";
                                                     return with(fields);
                                                   }(),
                                                   431}));

ParsedHead parsed(const std::string& text, Request& request, bool allow_body = false) {
  HeadLimits limits;
  limits.allow_body = allow_body;
  return parse_head(text, limits, request);
}

TEST(Parser, TakesARequestApart) {
  Request request;
  const std::string text = "GET /go/a%21b/@v/list?x=1 HTTP/1.1\r\nHost: a:5050\r\nX-Empty:\r\nX-Spaced: \t a b \t\r\n\r\n";
  const ParsedHead head = parsed(text + "GET /next", request);
  ASSERT_EQ(head.state, State::kComplete);
  EXPECT_EQ(head.size, text.size());
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(request.method, Method::kGet);
  EXPECT_EQ(request.method_text, "GET");
  EXPECT_EQ(request.target, "/go/a%21b/@v/list?x=1");
  EXPECT_EQ(request.version, 11);
  EXPECT_EQ(request.headers.get("host"), "a:5050");
  EXPECT_EQ(request.headers.count("X-Empty"), 1U);
  EXPECT_EQ(request.headers.get("x-spaced"), "a b");
}

TEST(Parser, IsIncompleteAtEveryByteButTheLast) {
  const std::string text = "\r\nHEAD / HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
  Request request;
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(parsed(text.substr(0, size), request).state, State::kIncomplete) << size;
  }
  EXPECT_EQ(parsed(text, request).state, State::kComplete);
  EXPECT_EQ(request.headers.all().size(), 2U);
}

TEST(Parser, KnowsWhetherTheConnectionStaysOpen) {
  Request request;
  EXPECT_TRUE(parsed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", request).keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n", request).keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.0\r\n\r\n", request).keep_alive);
  EXPECT_TRUE(parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", request).keep_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", request).keep_alive);
}

TEST(Parser, ABodyThatNobodyReadsEndsTheConnection) {
  Request request;
  for (const char* field : {"Content-Length: 3", "Transfer-Encoding: chunked"}) {
    const ParsedHead head = parsed("PUT / HTTP/1.1\r\nHost: a\r\n" + std::string(field) + "\r\n\r\n", request);
    EXPECT_EQ(head.state, State::kComplete);
    EXPECT_EQ(request.method, Method::kOther);
    EXPECT_TRUE(head.unread_body);
    EXPECT_FALSE(head.keep_alive);
    EXPECT_EQ(head.content_length, 0U);
  }
  EXPECT_TRUE(parsed("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", request).keep_alive);
}

TEST(Parser, PostHasABodyOnlyWhereAllowed) {
  Request request;
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
  EXPECT_TRUE(parsed(post, request).unread_body);
  EXPECT_EQ(request.method, Method::kOther);
  const ParsedHead head = parsed(post, request, true);
  EXPECT_EQ(request.method, Method::kPost);
  EXPECT_EQ(head.content_length, 3U);
  EXPECT_EQ(parsed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", request, true).refused_status, 413U);
  EXPECT_EQ(parsed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", request, true).refused_status, 411U);
}

}  // namespace
}  // namespace cistern::http
