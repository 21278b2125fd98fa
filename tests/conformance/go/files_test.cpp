// .mod and .zip: once, whole, shared.
#include <atomic>
#include <vector>

#include "go_fixture.hpp"

namespace cistern::conformance {
namespace {

class GoFiles : public GoTest {
 protected:
  const GoModule small = make_module("example.com/small", "v1.0.0");
  const GoModule large = make_module("example.com/large", "v1.0.0", 1 << 20);
};

TEST_F(GoFiles, Case5_SecondZipIsByteIdenticalWithoutAnUpstreamCall) {
  publish(upstream, large);
  start();
  const auto first = ask(large.target(".zip"));
  EXPECT_EQ(cache_result(first), "miss");
  EXPECT_EQ(first.header("Content-Type"), "application/zip");
  const auto second = ask(large.target(".zip"));
  EXPECT_EQ(cache_result(second), "hit");
  EXPECT_TRUE(first.body == large.zip && second.body == large.zip);
  EXPECT_EQ(second.header("Content-Length"), std::to_string(large.zip.size()));
  EXPECT_EQ(upstream.count(), 1u);
}

TEST_F(GoFiles, Case6_FiftyParallelColdZipsCostOneUpstreamFetch) {
  const auto gate = std::make_shared<Gate>();
  upstream.on(large.target(".zip"), Reply{.body = large.zip, .gate = gate, .gate_after = 100000});
  start();
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back([&] {
      const auto answer = get(agent->node(), "/go" + large.target(".zip"));
      if (answer.status == 200 && answer.complete && answer.body == large.zip) ++right;
    });
  }
  EXPECT_TRUE(upstream.wait_for("GET", large.target(".zip"), 1));
  std::this_thread::sleep_for(milliseconds(200));
  gate->open();
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 50);
  EXPECT_EQ(upstream.count(), 1u);
}

TEST_F(GoFiles, AModDoesNotCauseAZip) {
  publish(upstream, small);
  start();
  EXPECT_EQ(ask(small.target(".mod")).body, small.mod);
  EXPECT_EQ(ask(small.target(".info")).status, 200u);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(upstream.count("GET", small.target(".zip")), 0u);
}

TEST_F(GoFiles, ALargeZipStreamsWhileItArrives) {
  const auto gate = std::make_shared<Gate>();
  upstream.on(large.target(".zip"), Reply{.body = large.zip, .gate = gate, .gate_after = 800000});
  start();
  Connection client(agent->node(), milliseconds(3000));
  client.ask("GET", "/go" + large.target(".zip"));
  auto answer = client.read_head();
  EXPECT_EQ(answer.status, 200u);
  client.read_body(answer, 300000);
  EXPECT_EQ(answer.body.size(), 300000u) << "bytes must flow before the upstream has sent them all";
  gate->open();
  client.read_body(answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == large.zip);
}

TEST_F(GoFiles, AnAnswerWithoutLengthIsServedAndStored) {
  upstream.on(large.target(".zip"), Reply{.body = large.zip, .chunked = true});
  start();
  EXPECT_TRUE(ask(large.target(".zip")).body == large.zip);
  const auto second = ask(large.target(".zip"));
  EXPECT_EQ(cache_result(second), "hit");
  EXPECT_TRUE(second.body == large.zip);
}

TEST_F(GoFiles, AnOldClientWithoutChunksGetsTheWholeObject) {
  upstream.on(large.target(".zip"), Reply{.body = large.zip, .chunked = true});
  start();
  Connection client(agent->node());
  client.send("GET /go" + large.target(".zip") + " HTTP/1.0\r\nHost: x\r\n\r\n");
  const auto answer = client.read_answer();
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.header("Content-Length"), std::to_string(large.zip.size()));
  EXPECT_TRUE(answer.body == large.zip);
}

TEST_F(GoFiles, ACompressedAnswerIsPassedOnDecoded) {
  const std::string mod = "module example.com/gz\n";
  // gzip of that text, without a name or time.
  const std::string zipped(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\xcd\x4f\x29\xcd\x49\x55\x48\xad\x48\xcc\x2d\xc8\x49\xd5\x4b\xce\xcf\xd5\x4f\xaf\xe2\x02"
      "\x00"
      "\x4e\x08\x91\xdb\x16\x00\x00\x00",
      42);
  upstream.on("/example.com/gz/@v/v1.0.0.mod", Reply{.headers = {{"Content-Encoding", "gzip"}}, .body = zipped});
  start();
  const auto answer = ask("/example.com/gz/@v/v1.0.0.mod");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.body, mod);
  EXPECT_FALSE(has_field(answer.headers, "Content-Encoding"));
  EXPECT_EQ(ask("/example.com/gz/@v/v1.0.0.mod").body, mod);
}

TEST_F(GoFiles, HeadTellsWhatGetWouldWithoutABody) {
  publish(upstream, small);
  start();
  EXPECT_EQ(ask_head(small.target(".mod")).status, 200u);
  EXPECT_EQ(ask_head("/example.com/none/@v/v1.0.0.mod").status, 404u);
  EXPECT_EQ(ask(small.target(".zip")).status, 200u);
  const auto warm = ask_head(small.target(".zip"));
  EXPECT_EQ(warm.status, 200u);
  EXPECT_EQ(warm.header("Content-Length"), std::to_string(small.zip.size()));
  EXPECT_EQ(cache_result(warm), "hit");
}

TEST_F(GoFiles, OnlyGetAndHeadAreAllowed) {
  start();
  EXPECT_EQ(fetch(agent->node(), "DELETE", "/go" + small.target(".zip")).status, 405u);
  EXPECT_EQ(fetch(agent->node(), "PUT", "/go" + small.target(".zip"), {{"Content-Length", "0"}}).status, 405u);
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(GoFiles, ARedirectIsFollowedByTheAgentWithoutItsCredentials) {
  ScriptedUpstream storage;
  storage.on("/signed", Reply{.body = small.zip});
  upstream.require_basic("/", "user", "secret");
  upstream.on(small.target(".zip"), Reply{.status = 302, .headers = {{"Location", storage.url() + "/signed?key=1"}}});
  setup.go = "{views: [{upstreams: [{url: \"" + upstream.url() + "\", credentials: creds}], sumDB: {mode: Off}}]}";
  agent = std::make_unique<Agent>(setup);
  agent->add_file("creds/username", "user");
  agent->add_file("creds/password", "secret\n");
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(ask(small.target(".zip")).body, small.zip);
  ASSERT_EQ(storage.asked("/signed").size(), 1u);
  EXPECT_EQ(storage.asked("/signed")[0].header("Authorization"), "");
  EXPECT_EQ(ask(small.target(".zip"), {{"Authorization", "Basic bWU6bWU="}}).body, small.zip);
  for (const auto& one : upstream.asked())
    EXPECT_NE(one.header("Authorization"), "Basic bWU6bWU=") << "a client's own must never be forwarded";
}

TEST_F(GoFiles, DisableModuleFetchServesHitsAndAsksNobodyOnAMiss) {
  publish(upstream, small);
  start();
  const Fields no_fetch{{"Disable-Module-Fetch", "true"}};
  const auto miss = ask(small.target(".mod"), no_fetch);
  EXPECT_EQ(miss.status, 404u);
  EXPECT_NE(miss.header("Cache-Control").find("no-store"), std::string::npos);
  EXPECT_EQ(upstream.count(), 0u);
  EXPECT_EQ(ask(small.target(".mod")).status, 200u);
  const auto hit = ask(small.target(".mod"), no_fetch);
  EXPECT_EQ(hit.status, 200u);
  EXPECT_EQ(hit.body, small.mod);
}

}  // namespace
}  // namespace cistern::conformance
