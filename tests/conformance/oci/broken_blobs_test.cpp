// Upstreams that cut, stall, trickle or lie while a blob is on its way.
#include <algorithm>

#include "oci_fixture.hpp"

namespace cistern::conformance {
namespace {

class OciBrokenBlobs : public OciTest {
 protected:
  OciBrokenBlobs() { setup.retries = 3; }  // which bounds how often a cut transfer is gone on with
  Reply cut(std::size_t after) const {
    auto reply = blob_reply(blob);
    reply.cut_after = after;
    return reply;
  }
  Reply tampered() const {
    auto reply = blob_reply(blob);
    reply.body[reply.body.size() / 2] = static_cast<char>(reply.body[reply.body.size() / 2] ^ 1);
    return reply;
  }
  std::string two(const ScriptedUpstream& first, const ScriptedUpstream& second) const {
    return "{name: docker.io, upstreams: [{name: a, url: \"" + first.url() + "\"}, {name: b, url: \"" + second.url() + "\"}]}";
  }
  const Blob blob{noise(1 << 20, 9)};
  const std::string target = blob_target("team/app", blob.digest);
};

TEST_F(OciBrokenBlobs, Case7_ACutTransferIsResumedAndTheClientIsUnaware) {
  hub.on(target, {cut(300000), cut(200000), blob_reply(blob)});
  start();
  const auto answer = ask(target);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
  const auto asked = hub.asked(target);
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[1].header("Range"), "bytes=300000-");
  EXPECT_EQ(asked[2].header("Range"), "bytes=500000-");
  EXPECT_EQ(cache_result(ask(target)), "hit");
}

TEST_F(OciBrokenBlobs, Case7_ACutTransferGoesOnWithoutRangesToo) {
  auto whole = blob_reply(blob);
  whole.ranges = false;
  hub.on(target, {cut(300000), whole});
  start();
  const auto answer = ask(target);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
}

TEST_F(OciBrokenBlobs, Case7_ACutTransferGoesOnAtTheNextUpstream) {
  ScriptedUpstream first;
  first.on(target, {cut(300000), Reply{.status = 503}});
  hub.on(target, blob_reply(blob));
  start(two(first, hub));
  const auto answer = ask(target);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
}

TEST_F(OciBrokenBlobs, Case8_ATransferCutForGoodEndsShortAndNothingIsStored) {
  hub.on(target, {cut(300000), Reply{.reset = true}});
  start();
  const auto answer = ask(target);
  EXPECT_TRUE(failed(answer));
  EXPECT_LE(answer.status == 200 ? answer.body.size() : 0, 300000u);
  EXPECT_TRUE(no_fill_left());
  hub.on(target, blob_reply(blob));
  const auto next = ask(target);
  EXPECT_EQ(cache_result(next), "miss");
  EXPECT_TRUE(next.complete);
  EXPECT_TRUE(next.body == blob.bytes);
}

TEST_F(OciBrokenBlobs, Case9_OfAWrongDigestTheLastBytesAreWithheld) {
  hub.on(target, tampered());
  start();
  const auto answer = ask(target);
  EXPECT_TRUE(failed(answer));
  if (answer.status == 200) {
    EXPECT_LE(answer.body.size() + 65536, blob.bytes.size());
  }
  EXPECT_TRUE(no_fill_left());
  hub.on(target, blob_reply(blob));
  EXPECT_TRUE(ask(target).body == blob.bytes);
  EXPECT_GE(agent->metric("cistern_verify_failures_total{kind=\"digest\"}").value_or(0), 1);
}

TEST_F(OciBrokenBlobs, Case9_ASmallWrongBlobIsAnErrorWithoutABody) {
  const Blob small(noise(1000, 10));
  hub.on(blob_target("team/app", small.digest), blob_reply(Blob(noise(1000, 11))));
  start();
  EXPECT_EQ(ask(blob_target("team/app", small.digest)).status, 502u);
}

TEST_F(OciBrokenBlobs, Case9_AfterAWrongDigestTheNextFillStartsAtTheNextUpstream) {
  ScriptedUpstream liar;
  liar.on(target, tampered());
  hub.on(target, blob_reply(blob));
  start(two(liar, hub));
  ask(target);
  EXPECT_TRUE(no_fill_left());
  const auto next = ask(target);
  EXPECT_TRUE(next.complete);
  EXPECT_TRUE(next.body == blob.bytes);
}

TEST_F(OciBrokenBlobs, ABodyLongerOrShorterThanAnnouncedIsNotTakenForWhole) {
  auto lengthy = blob_reply(blob);
  lengthy.body += "more";
  hub.on(target, lengthy);
  start();
  EXPECT_TRUE(failed(ask(target)));
  auto chunked = blob_reply(blob);
  chunked.body.resize(900000);
  chunked.chunked = true;
  EXPECT_TRUE(no_fill_left());
  hub.on(target, chunked);
  EXPECT_TRUE(failed(ask(target)));
}

TEST_F(OciBrokenBlobs, Case11_ATrickleEndsByTheIdleTimeout) {
  auto trickle = blob_reply(blob);
  trickle.piece = 10;
  trickle.pause = milliseconds(100);
  hub.on(target, {trickle, Reply{.status = 500}});
  setup.timeouts = "{connect: 500ms, firstByte: 1s, idle: 1s}";
  start();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(failed(ask(target)));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
  EXPECT_TRUE(eventually([&] { return hub.count() >= 1; }));
}

TEST_F(OciBrokenBlobs, Case11_AStallWithinTheBodyGoesOnAtTheNextUpstream) {
  ScriptedUpstream stalling;
  auto stall = blob_reply(blob);
  stall.stall_after = 300000;
  stalling.on(target, {stall, Reply{.status = 503}});
  hub.on(target, blob_reply(blob));
  setup.timeouts = "{connect: 500ms, firstByte: 1s, idle: 1s}";
  start(two(stalling, hub));
  const auto answer = ask(target);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
}

TEST_F(OciBrokenBlobs, ASilentUpstreamIsPassedOverForTheNext) {
  ScriptedUpstream silent;
  silent.on(target, Reply{.silent = true});
  hub.on(target, blob_reply(blob));
  setup.timeouts = "{connect: 500ms, firstByte: 500ms, idle: 1s}";
  start(two(silent, hub));
  EXPECT_TRUE(ask(target).body == blob.bytes);
}

TEST_F(OciBrokenBlobs, Case21_KilledInAFillNothingPartialIsThereAfterRestart) {
  auto reply = blob_reply(blob);
  reply.gate = std::make_shared<Gate>();
  reply.gate_after = 700000;
  hub.on(target, reply);
  start();
  Connection client(agent->node());
  client.ask("GET", target + "?ns=docker.io");
  auto partial = client.read_head();
  client.read_body(partial, 300000);
  agent->kill();
  hub.on(target, blob_reply(blob));
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(agent->metric("cistern_store_objects").value_or(-1), 0);
  const auto answer = ask(target);
  EXPECT_EQ(cache_result(answer), "miss");
  EXPECT_TRUE(answer.body == blob.bytes);
  EXPECT_EQ(agent->stop(), 0);
  expect_running = false;
  const auto check = run({.arguments = {program("cache-agent"), "store", "verify", "--path", agent->storage().string()}});
  EXPECT_EQ(check.code, 0) << check.output;
}

}  // namespace
}  // namespace cistern::conformance
