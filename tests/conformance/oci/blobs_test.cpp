// Blobs: ranges, sharing, clients that leave.
#include <atomic>
#include <vector>

#include "oci_fixture.hpp"

namespace cistern::conformance {
namespace {

class OciBlobs : public OciTest {
 protected:
  const Blob blob{noise(4 << 20, 7)};
  const Blob small{noise(1000, 8)};
  const std::string target = blob_target("team/app", blob.digest);
  const std::string small_target = blob_target("team/app", small.digest);
};

TEST_F(OciBlobs, AreServedOnceFromUpstreamAndThenFromHere) {
  hub.on(target, blob_reply(blob));
  start();
  const auto first = ask(target);
  EXPECT_EQ(cache_result(first), "miss");
  EXPECT_TRUE(first.body == blob.bytes);
  const auto second = ask(target);
  EXPECT_EQ(cache_result(second), "hit");
  EXPECT_TRUE(second.body == blob.bytes);
  EXPECT_EQ(second.header("Docker-Content-Digest"), blob.digest);
  ASSERT_EQ(hub.count(), 1u) << "and never a HEAD before the GET";
  EXPECT_EQ(hub.asked()[0].header("Accept-Encoding"), "identity");
}

TEST_F(OciBlobs, Case3_RangesOfACachedBlob) {
  hub.on(small_target, blob_reply(small));
  start();
  EXPECT_EQ(ask(small_target).status, 200u);
  const auto size = std::to_string(small.bytes.size());
  const auto single = ask(small_target, {{"Range", "bytes=10-19"}});
  EXPECT_EQ(single.status, 206u);
  EXPECT_EQ(single.body, small.bytes.substr(10, 10));
  EXPECT_EQ(single.header("Content-Range"), "bytes 10-19/" + size);
  const auto open_ended = ask(small_target, {{"Range", "bytes=990-"}});
  EXPECT_EQ(open_ended.status, 206u);
  EXPECT_EQ(open_ended.body, small.bytes.substr(990));
  const auto suffix = ask(small_target, {{"Range", "bytes=-5"}});
  EXPECT_EQ(suffix.status, 206u);
  EXPECT_EQ(suffix.body, small.bytes.substr(995));
  const auto beyond = ask(small_target, {{"Range", "bytes=1000-"}});
  EXPECT_EQ(beyond.status, 416u);
  EXPECT_EQ(beyond.header("Content-Range"), "bytes */" + size);
  EXPECT_EQ(ask(small_target, {{"Range", "bytes=5-2"}}).status, 200u) << "malformed: ignored";
  EXPECT_EQ(ask(small_target, {{"Range", "bytes=0-99999"}}).body, small.bytes) << "clipped to the end";
}

TEST_F(OciBlobs, AColdRangeIsAnsweredWithTheRightBytes) {
  hub.on(target, blob_reply(blob));
  start();
  const auto answer = ask(target, {{"Range", "bytes=1000000-1000099"}});
  const auto expected = answer.status == 206 ? blob.bytes.substr(1000000, 100) : blob.bytes;
  EXPECT_TRUE(answer.status == 206 || answer.status == 200) << answer.status;
  EXPECT_TRUE(answer.body == expected);
}

TEST_F(OciBlobs, Case4_AColdOpenRangeClosedEarlyStillFillsTheCache) {
  const auto gate = std::make_shared<Gate>();
  auto reply = blob_reply(blob);
  reply.gate = gate;
  reply.gate_after = 1 << 20;
  hub.on(target, reply);
  start();
  {
    Connection client(agent->node());
    client.ask("GET", target + "?ns=docker.io", {{"Range", "bytes=0-"}});
    auto answer = client.read_head();
    EXPECT_TRUE(answer.status == 206 || answer.status == 200) << answer.status;
    client.read_body(answer, 1000);
    EXPECT_EQ(answer.body, blob.bytes.substr(0, 1000));
  }
  gate->open();
  EXPECT_TRUE(no_fill_left());
  EXPECT_TRUE(eventually([&] { return cache_result(ask(target)) == "hit"; }));
  EXPECT_EQ(hub.count(), 1u);
}

TEST_F(OciBlobs, Case5_AHundredClientsOfOneColdBlobCostOneUpstreamGet) {
  auto reply = blob_reply(blob);
  const auto gate = std::make_shared<Gate>();
  reply.gate = gate;
  reply.gate_after = 500000;
  hub.on(target, reply);
  start();
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back([&] {
      const auto answer = get(agent->node(), target + "?ns=docker.io");
      if (answer.status == 200 && answer.complete && answer.body == blob.bytes) ++right;
    });
  }
  EXPECT_TRUE(hub.wait_for("GET", target, 1));
  std::this_thread::sleep_for(milliseconds(300));
  gate->open();
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 100);
  EXPECT_EQ(hub.count(), 1u);
}

TEST_F(OciBlobs, Case6_TheFirstClientLeavesAndTheRestAreServed) {
  auto reply = blob_reply(blob);
  const auto gate = std::make_shared<Gate>();
  reply.gate = gate;
  reply.gate_after = 1 << 20;
  hub.on(target, reply);
  start();
  auto first = std::make_unique<Connection>(agent->node());
  first->ask("GET", target + "?ns=docker.io");
  EXPECT_TRUE(hub.wait_for("GET", target, 1));
  Connection second(agent->node());
  second.ask("GET", target + "?ns=docker.io");
  auto answer = second.read_head();
  second.read_body(answer, 1000);
  first.reset();
  std::this_thread::sleep_for(milliseconds(100));
  gate->open();
  second.read_body(answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
  EXPECT_EQ(hub.count(), 1u);
}

TEST_F(OciBlobs, AFillGoesOnWhenItsOnlyClientLeaves) {
  auto reply = blob_reply(blob);
  const auto gate = std::make_shared<Gate>();
  reply.gate = gate;
  reply.gate_after = 1 << 20;
  hub.on(target, reply);
  start();
  {
    Connection client(agent->node());
    client.ask("GET", target + "?ns=docker.io");
    EXPECT_TRUE(hub.wait_for("GET", target, 1));
  }
  std::this_thread::sleep_for(milliseconds(100));
  gate->open();
  EXPECT_TRUE(eventually([&] { return cache_result(ask(target)) == "hit"; }));
  EXPECT_EQ(hub.count(), 1u);
}

TEST_F(OciBlobs, BytesFlowWhileTheUpstreamStillSends) {
  auto reply = blob_reply(blob);
  const auto gate = std::make_shared<Gate>();
  reply.gate = gate;
  reply.gate_after = 2 << 20;
  hub.on(target, reply);
  start();
  Connection client(agent->node(), milliseconds(3000));
  client.ask("GET", target + "?ns=docker.io");
  auto answer = client.read_head();
  client.read_body(answer, 1 << 20);
  EXPECT_EQ(answer.body.size(), std::size_t{1} << 20);
  gate->open();
  client.read_body(answer);
  EXPECT_TRUE(answer.body == blob.bytes);
}

TEST_F(OciBlobs, AHitDoesNotWaitBehindAMiss) {
  hub.on(small_target, blob_reply(small));
  hub.on(target, Reply{.silent = true});
  start();
  EXPECT_EQ(ask(small_target).status, 200u);
  std::vector<std::unique_ptr<Connection>> waiting;
  for (int i = 0; i < 50; ++i) {
    waiting.push_back(std::make_unique<Connection>(agent->node()));
    waiting.back()->ask("GET", target + "?ns=docker.io");
  }
  EXPECT_TRUE(hub.wait_for("GET", target, 1));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(cache_result(ask(small_target)), "hit");
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1000));
}

TEST_F(OciBlobs, AColdHeadIsAskedByHead) {
  hub.on(target, blob_reply(blob));
  start();
  const auto answer = ask_head(target);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.header("Content-Length"), std::to_string(blob.bytes.size()));
  EXPECT_EQ(hub.count("HEAD", target), 1u);
  EXPECT_EQ(hub.count("GET", target), 0u);
}

TEST_F(OciBlobs, WhereHeadIsRefusedAGetBecomesTheFill) {
  hub.on(small_target, blob_reply(small));
  hub.on("HEAD " + small_target, Reply{.status = 405});
  start();
  const auto answer = ask_head(small_target);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.header("Content-Length"), std::to_string(small.bytes.size()));
  EXPECT_TRUE(eventually([&] { return cache_result(ask(small_target)) == "hit"; }));
  EXPECT_EQ(hub.count("GET", small_target), 1u);
}

TEST_F(OciBlobs, AMissingBlobIsNotFoundInTheRegistrysWords) {
  start();
  const auto answer = ask(target);
  EXPECT_EQ(answer.status, 404u);
  EXPECT_NE(answer.body.find("BLOB_UNKNOWN"), std::string::npos) << answer.body;
}

}  // namespace
}  // namespace cistern::conformance
