// kill -9, at any moment.
#include <atomic>
#include <random>

#include "crash_fixture.hpp"

namespace cistern::conformance {
namespace {

class CrashKill : public CrashTest {};

TEST_F(CrashKill, FiftyKillsAtRandomPointsOfAFillLeaveASoundStoreAndServeNothingPartial) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  offer(30, 200000, 9000);
  for (auto& blob : blobs) {
    auto reply = blob_reply(blob);
    reply.piece = 50000;
    reply.pause = milliseconds(2);  // so that a fill takes 10 to 20 ms
    upstream.on(target_of(blob), reply);
  }
  configure();
  for (int round = 0; round < 50; ++round) {
    ASSERT_TRUE(agent->start()) << "round " << round << ": " << agent->log();
    std::atomic<bool> stop = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> clients;
    for (unsigned i = 0; i < 3; ++i) {
      clients.emplace_back([this, &stop, &wrong, mine = std::mt19937(random())]() mutable {
        while (!stop) {
          const auto& blob = blobs[mine() % blobs.size()];
          const auto answer = ask(blob);
          if (answer.status == 200 && answer.complete && answer.body != blob.bytes) ++wrong;
        }
      });
    }
    std::this_thread::sleep_for(milliseconds(random() % 60));
    agent->kill();
    stop = true;
    for (auto& client : clients) client.join();
    ASSERT_EQ(wrong, 0) << "round " << round;
  }
  const auto check = check_store();
  EXPECT_EQ(check.code, 0) << check.output;
  ASSERT_TRUE(agent->start()) << agent->log();
  int hits = 0;
  for (const auto& blob : blobs) {
    const auto answer = ask(blob);
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == blob.bytes);
    hits += answer.header("X-Cistern-Cache") == "hit" ? 1 : 0;
  }
  EXPECT_GT(hits, 0) << "what had been committed is still there";
}

TEST_F(CrashKill, WhatAClientHasSeenServedAsAHitSurvives) {
  offer(10, 100000, 9100);
  configure();
  ASSERT_TRUE(agent->start()) << agent->log();
  for (const auto& blob : blobs) {
    ask(blob);
    EXPECT_TRUE(eventually([&] { return ask(blob).header("X-Cistern-Cache") == "hit"; }));
  }
  agent->kill();
  upstream.go_down();
  ASSERT_TRUE(agent->start()) << agent->log();
  for (const auto& blob : blobs) {
    const auto answer = ask(blob);
    EXPECT_EQ(answer.header("X-Cistern-Cache"), "hit");
    EXPECT_TRUE(answer.body == blob.bytes);
  }
}

}  // namespace
}  // namespace cistern::conformance
