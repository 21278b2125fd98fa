#include "cache-agent/upstream/canary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/manual_clock.hpp"

namespace cistern::upstream {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using State = CanaryHealth::State;

class CanaryTest : public testing::Test {
 protected:
  void record(Canary::Side side, unsigned objects, bool ok, microseconds first_byte = 20ms) {
    for (unsigned i = 0; i < objects; ++i) canary_.record(side, {ok, ok ? std::optional(first_byte) : std::nullopt});
  }
  void canary(unsigned objects, bool ok = true, microseconds first_byte = 20ms) { record(Canary::Side::kCanary, objects, ok, first_byte); }
  void rest(unsigned objects, bool ok = true, microseconds first_byte = 20ms) { record(Canary::Side::kRest, objects, ok, first_byte); }
  State state() const { return canary_.health().state; }

  fakes::ManualClock clock_;
  Canary canary_{clock_, 10};
};

TEST_F(CanaryTest, StaysWhileItDoesAsWell) {
  for (int i = 0; i < 20; ++i) {
    rest(90);
    rest(2, false);
    canary(10);
    canary(1, false);
    canary(9);
    clock_.advance(30s);
  }
  EXPECT_TRUE(canary_.admitted());
  EXPECT_EQ(state(), State::kActive);
}

TEST_F(CanaryTest, IsWithdrawnAfterFailuresInARow) {
  rest(50);
  canary(4, false);
  EXPECT_TRUE(canary_.admitted());
  canary(1, false);
  EXPECT_FALSE(canary_.admitted());
  const auto health = canary_.health();
  EXPECT_EQ(health.reason, "5 failures in a row; with the other upstreams 0 of 50 objects failed");
  EXPECT_EQ(health.canary.failed, 5U);
  EXPECT_EQ(health.withdrawals, 1U);
  EXPECT_EQ(health.retry_in, 600s);
}

TEST_F(CanaryTest, IsWithdrawnForAShareOfFailuresOverTheRests) {
  rest(100);
  for (int i = 0; i < 6; ++i) {
    canary(3);
    canary(1, false);
  }
  EXPECT_EQ(state(), State::kWithdrawn);
  EXPECT_EQ(canary_.health().reason, "5 of 20 objects failed; with the other upstreams 0 of 100 objects failed");
}

TEST_F(CanaryTest, FewObjectsTellNothing) {
  rest(100);
  for (int i = 0; i < 4; ++i) {
    canary(1);
    canary(3, false);
  }
  EXPECT_EQ(state(), State::kActive);
}

TEST_F(CanaryTest, IsNotBlamedForWhatFailsEverywhere) {
  rest(2);
  rest(48, false);
  canary(40, false);
  EXPECT_EQ(state(), State::kActive);
}

TEST_F(CanaryTest, IsWithdrawnWhenItIsMuchSlower) {
  rest(100, true, 50ms);
  canary(19, true, 300ms);
  EXPECT_EQ(state(), State::kActive);
  canary(1, true, 300ms);
  EXPECT_EQ(state(), State::kWithdrawn);
  EXPECT_EQ(canary_.health().reason, "first byte after 300 ms; with the other upstreams after 50 ms");
}

TEST_F(CanaryTest, AFewSlowObjectsDoNotCountNorMillisecondsOfAFastOne) {
  rest(100, true, 5ms);
  canary(30, true, 20ms);
  canary(10, true, 10s);
  EXPECT_EQ(state(), State::kActive);
}

TEST_F(CanaryTest, IsTriedAgainAfterAPauseThatDoubles) {
  for (const auto pause : {10min, 20min, 40min, 80min, 160min, 320min, 360min, 360min}) {
    canary(5, false);
    ASSERT_FALSE(canary_.admitted());
    clock_.advance(pause - 1s);
    EXPECT_FALSE(canary_.admitted());
    clock_.advance(1s);
    EXPECT_TRUE(canary_.admitted());
    EXPECT_EQ(state(), State::kOnTrial);
    EXPECT_EQ(canary_.health().canary.asked, 0U) << "what it did before is forgotten";
  }
}

TEST_F(CanaryTest, IsActiveAgainAfterATrialThatWentWell) {
  canary(5, false);
  clock_.advance(10min);
  ASSERT_TRUE(canary_.admitted());
  for (int i = 0; i < 31; ++i) {
    canary(1);
    clock_.advance(1min);
  }
  canary(1);
  EXPECT_EQ(state(), State::kActive);
  canary(5, false);
  EXPECT_EQ(canary_.health().retry_in, 600s) << "the pause begins anew";
}

TEST_F(CanaryTest, WhatWasAskedBeforeTheWithdrawalChangesNothing) {
  canary(5, false);
  const auto before = canary_.health();
  canary(40, true);
  canary(40, false);
  EXPECT_EQ(canary_.health().withdrawals, before.withdrawals);
  EXPECT_EQ(canary_.health().canary.asked, before.canary.asked);
}

TEST_F(CanaryTest, OldObjectsAreForgotten) {
  rest(100);
  canary(8);
  canary(4, false);
  clock_.advance(11min);
  canary(20);
  EXPECT_EQ(canary_.health().canary.asked, 20U);
}

}  // namespace
}  // namespace cistern::upstream
