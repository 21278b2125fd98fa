#include "cache-agent/upstream/breaker.hpp"

#include <gtest/gtest.h>

#include "tests/fakes/manual_clock.hpp"

namespace cistern::upstream {
namespace {

using namespace std::chrono_literals;

class BreakerStates : public testing::Test {
 protected:
  void open() {
    for (int i = 0; i < 3; ++i) breaker_.failure(settings_, "refused");
  }
  fakes::ManualClock clock_;
  Breaker breaker_{clock_};
  config::Breaker settings_{.failures = 3, .open_for = 30s};
};

TEST_F(BreakerStates, OpensAfterFailuresInARowOnly) {
  breaker_.failure(settings_, "a");
  breaker_.failure(settings_, "b");
  breaker_.success();
  breaker_.failure(settings_, "c");
  breaker_.failure(settings_, "d");
  EXPECT_TRUE(breaker_.enter(settings_));
  breaker_.answered();  // a head alone does not break the row: the bodies may all be cut
  breaker_.failure(settings_, "e");
  const auto refused = breaker_.enter(settings_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(refused.error().retry_after, 30s);
}

TEST_F(BreakerStates, LetsOneProbeThrough) {
  open();
  EXPECT_EQ(breaker_.health().state, BreakerState::kOpen);
  clock_.advance(30s);
  EXPECT_EQ(breaker_.health().state, BreakerState::kHalfOpen);
  EXPECT_FALSE(breaker_.health().refuses);
  const auto probe = breaker_.enter(settings_);
  ASSERT_TRUE(probe);
  EXPECT_TRUE(probe->probe());
  EXPECT_FALSE(breaker_.enter(settings_));
  EXPECT_TRUE(breaker_.health().refuses);
  breaker_.answered();
  EXPECT_EQ(breaker_.health().state, BreakerState::kClosed);
  EXPECT_FALSE(breaker_.enter(settings_)->probe());
}

TEST_F(BreakerStates, OpensAgainWhenTheProbeFails) {
  open();
  clock_.advance(30s);
  const auto probe = breaker_.enter(settings_);
  breaker_.failure(settings_, "still");
  clock_.advance(29s);
  EXPECT_FALSE(breaker_.enter(settings_));
  clock_.advance(1s);
  EXPECT_TRUE(breaker_.enter(settings_));
}

TEST_F(BreakerStates, AProbeThatIsDroppedMakesRoomForTheNext) {
  open();
  clock_.advance(30s);
  { const auto probe = breaker_.enter(settings_); }
  EXPECT_TRUE(breaker_.enter(settings_)->probe());
}

TEST_F(BreakerStates, HoldsBackForAMinuteAtMost) {
  breaker_.hold(3600s);
  const auto refused = breaker_.enter(settings_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kTooManyRequests);
  EXPECT_EQ(refused.error().retry_after, 60s);
  clock_.advance(60s);
  EXPECT_TRUE(breaker_.enter(settings_));
}

TEST_F(BreakerStates, NeverOpensWithoutABound) {
  settings_.failures = 0;
  for (int i = 0; i < 100; ++i) breaker_.failure(settings_, "x");
  EXPECT_TRUE(breaker_.enter(settings_));
}

}  // namespace
}  // namespace cistern::upstream
