#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

#include <gtest/gtest.h>

#include "tests/fakes/places/places.hpp"
#include "tests/fakes/http_client/http_client.hpp"

namespace cistern::fakes {
namespace {

using std::chrono::milliseconds;

Address address_of(const ScriptedUpstream& upstream) { return {"127.0.0.1", upstream.port()}; }

TEST(ScriptedUpstream, AnswersByItsScriptAndCountsWhatItIsAsked) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.headers = {{"Content-Type", "text/x"}}, .body = "hello"});
  const auto answer = get(address_of(upstream), "/a?n=1", {{"Accept", "text/x"}});
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.header("content-type"), "text/x");
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(get(address_of(upstream), "/b").status, 404u);
  EXPECT_EQ(upstream.count("GET", "/a"), 1u);
  EXPECT_EQ(upstream.count("GET", "/b"), 1u);
  EXPECT_EQ(upstream.count(), 2u);
  ASSERT_EQ(upstream.asked("/a").size(), 1u);
  EXPECT_EQ(upstream.asked("/a")[0].target, "/a?n=1");
  EXPECT_EQ(upstream.asked("/a")[0].header("accept"), "text/x");
}

TEST(ScriptedUpstream, KeepsAConnectionForSeveralRequests) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.body = "one"});
  Connection connection(address_of(upstream));
  for (int i = 0; i < 3; ++i) {
    connection.ask("GET", "/a");
    EXPECT_EQ(connection.read_answer().body, "one");
  }
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(ScriptedUpstream, GivesRepliesInTurnAndRepeatsTheLast) {
  ScriptedUpstream upstream;
  upstream.on("/a", {Reply{.status = 500}, Reply{.status = 429}, Reply{.body = "well"}});
  EXPECT_EQ(get(address_of(upstream), "/a").status, 500u);
  EXPECT_EQ(get(address_of(upstream), "/a").status, 429u);
  EXPECT_EQ(get(address_of(upstream), "/a").status, 200u);
  EXPECT_EQ(get(address_of(upstream), "/a").status, 200u);
}

TEST(ScriptedUpstream, AnswersHeadByTheScriptOfGetUnlessItHasItsOwn) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.body = "12345"});
  auto answer = head(address_of(upstream), "/a");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.header("Content-Length"), "5");
  EXPECT_EQ(answer.body, "");
  upstream.on("HEAD /a", Reply{.status = 405});
  EXPECT_EQ(head(address_of(upstream), "/a").status, 405u);
  EXPECT_EQ(get(address_of(upstream), "/a").status, 200u);
}

TEST(ScriptedUpstream, HonoursRangesAndIfRange) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.headers = {{"ETag", "\"v1\""}}, .body = "0123456789"});
  auto answer = get(address_of(upstream), "/a", {{"Range", "bytes=4-"}});
  EXPECT_EQ(answer.status, 206u);
  EXPECT_EQ(answer.body, "456789");
  EXPECT_EQ(answer.header("Content-Range"), "bytes 4-9/10");
  EXPECT_EQ(get(address_of(upstream), "/a", {{"Range", "bytes=2-3"}}).body, "23");
  EXPECT_EQ(get(address_of(upstream), "/a", {{"Range", "bytes=10-"}}).status, 416u);
  EXPECT_EQ(get(address_of(upstream), "/a", {{"Range", "bytes=4-"}, {"If-Range", "\"v2\""}}).status, 200u);
  EXPECT_EQ(get(address_of(upstream), "/a", {{"Range", "bytes=4-"}, {"If-Range", "\"v1\""}}).status, 206u);
}

TEST(ScriptedUpstream, CutsABodyShort) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.body = std::string(100000, 'x'), .cut_after = 70000});
  const auto answer = get(address_of(upstream), "/a");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.body.size(), 70000u);
  EXPECT_FALSE(answer.complete);
}

TEST(ScriptedUpstream, CutsAChunkedBodyShort) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.body = std::string(1000, 'x'), .chunked = true, .cut_after = 700});
  EXPECT_FALSE(get(address_of(upstream), "/a").complete);
  upstream.on("/a", Reply{.body = std::string(1000, 'x'), .chunked = true});
  const auto answer = get(address_of(upstream), "/a");
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.body.size(), 1000u);
}

TEST(ScriptedUpstream, ResetsBeforeTheHead) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.reset = true});
  EXPECT_EQ(get(address_of(upstream), "/a").status, 0u);
}

TEST(ScriptedUpstream, StallsBeforeTheHeadOrWithinTheBody) {
  ScriptedUpstream upstream;
  upstream.on("/head", Reply{.silent = true});
  upstream.on("/body", Reply{.body = "0123456789", .stall_after = 4});
  EXPECT_EQ(fetch(address_of(upstream), "GET", "/head", {}, milliseconds(100)).status, 0u);
  const auto answer = fetch(address_of(upstream), "GET", "/body", {}, milliseconds(100));
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.body, "0123");
  EXPECT_FALSE(answer.complete);
}

TEST(ScriptedUpstream, WaitsAtAGateUntilTheTestOpensIt) {
  ScriptedUpstream upstream;
  const auto gate = std::make_shared<Gate>();
  upstream.on("/a", Reply{.body = "0123456789", .gate = gate, .gate_after = 4});
  Connection connection(address_of(upstream), milliseconds(5000));
  connection.ask("GET", "/a");
  auto answer = connection.read_head();
  connection.read_body(answer, 4);
  EXPECT_EQ(answer.body, "0123");
  gate->open();
  connection.read_body(answer);
  EXPECT_EQ(answer.body, "0123456789");
}

TEST(ScriptedUpstream, TricklesAndDelays) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.body = "01234", .delay = milliseconds(50), .piece = 1, .pause = milliseconds(20)});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(get(address_of(upstream), "/a").body, "01234");
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(50 + 4 * 20));
}

TEST(ScriptedUpstream, GoesDownAndComesUpOnTheSamePort) {
  ScriptedUpstream upstream;
  upstream.on("/a", Reply{.body = "x"});
  const auto port = upstream.port();
  upstream.go_down();
  EXPECT_FALSE(Connection({"127.0.0.1", port}).connected());
  upstream.come_up();
  EXPECT_EQ(upstream.port(), port);
  EXPECT_EQ(get(address_of(upstream), "/a").body, "x");
}

TEST(ScriptedUpstream, SpeaksTlsWithACertificateOfItsOwn) {
  ScriptedUpstream upstream(ScriptedUpstream::Tls::kSelfSigned);
  upstream.on("/a", Reply{.body = "secret"});
  const TemporaryFolder folder;
  write_file(folder / "ca.crt", upstream.certificate());
  EXPECT_EQ(curl_get(upstream.url() + "/a", folder / "ca.crt").body, "secret");
  ScriptedUpstream other(ScriptedUpstream::Tls::kSelfSigned);
  write_file(folder / "other.crt", other.certificate());
  EXPECT_EQ(curl_get(upstream.url() + "/a", folder / "other.crt").status, 0u);
}

TEST(ScriptedUpstream, AsksAResponderForWhatLiesBelowAPrefix) {
  ScriptedUpstream upstream;
  upstream.on_prefix("/p/", [](const Asked& asked) { return Reply{.body = asked.target}; });
  upstream.on("/p/own", Reply{.body = "own"});
  EXPECT_EQ(get(address_of(upstream), "/p/x?y").body, "/p/x?y");
  EXPECT_EQ(get(address_of(upstream), "/p/own").body, "own");
  EXPECT_EQ(get(address_of(upstream), "/q").status, 404u);
}

}  // namespace
}  // namespace cistern::fakes
