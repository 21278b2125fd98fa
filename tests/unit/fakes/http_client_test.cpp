#include "tests/fakes/http_client/http_client.hpp"

#include <gtest/gtest.h>

#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::fakes {
namespace {

Answer answer_to(const std::string& raw, bool head_only = false) {
  ScriptedUpstream upstream;
  upstream.on("/", Reply{.raw = raw});
  Connection connection({"127.0.0.1", upstream.port()});
  connection.ask("GET", "/");
  return connection.read_answer(head_only);
}

TEST(HttpClient, ReadsAnswersInEveryFraming) {
  const auto length = answer_to("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(length.body, "abc");
  EXPECT_TRUE(length.complete);
  const auto chunks = answer_to("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
  EXPECT_EQ(chunks.body, "abc");
  EXPECT_TRUE(chunks.complete);
  const auto to_end = answer_to("HTTP/1.0 200 OK\r\n\r\nabc");
  EXPECT_EQ(to_end.body, "abc");
  EXPECT_TRUE(to_end.complete);
  EXPECT_TRUE(answer_to("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true).complete);
}

TEST(HttpClient, TellsAShortBodyFromAWholeOne) {
  EXPECT_FALSE(answer_to("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc").complete);
  EXPECT_FALSE(answer_to("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n").complete);
  EXPECT_FALSE(answer_to("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab").complete);
}

TEST(HttpClient, SaysWhyThereIsNoAnswer) {
  EXPECT_EQ(get({"127.0.0.1", 1}, "/").status, 0u);
  EXPECT_NE(get({"127.0.0.1", 1}, "/").error, "");
  EXPECT_NE(answer_to("nonsense\r\n\r\n").error, "");
}

}  // namespace
}  // namespace cistern::fakes
