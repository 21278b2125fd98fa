#include "cache-agent/limit/rate_limit.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/fakes/manual_clock.hpp"

namespace cistern::limit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateLimit, ABurstIsAllowedAndThenTheRate) {
  fakes::ManualClock clock;
  RateLimiter limiter({10, 3}, clock);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limiter.refuse("10.0.0.1"));
  EXPECT_TRUE(limiter.refuse("10.0.0.1"));
  clock.advance(milliseconds(100));
  EXPECT_FALSE(limiter.refuse("10.0.0.1"));
  EXPECT_TRUE(limiter.refuse("10.0.0.1"));
  clock.advance(seconds(60));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limiter.refuse("10.0.0.1"));
  EXPECT_TRUE(limiter.refuse("10.0.0.1"));
}

TEST(RateLimit, ARefusedRequestCostsNothing) {
  fakes::ManualClock clock;
  RateLimiter limiter({1, 1}, clock);
  EXPECT_FALSE(limiter.refuse("10.0.0.1"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limiter.refuse("10.0.0.1"), seconds(1));
  clock.advance(seconds(1));
  EXPECT_FALSE(limiter.refuse("10.0.0.1"));
}

TEST(RateLimit, TheWaitIsToldInWholeSecondsOneAtLeast) {
  fakes::ManualClock clock;
  RateLimiter slow({0.1, 1}, clock);
  EXPECT_FALSE(slow.refuse("10.0.0.1"));
  EXPECT_EQ(slow.refuse("10.0.0.1"), seconds(10));
  clock.advance(milliseconds(8500));
  EXPECT_EQ(slow.refuse("10.0.0.1"), seconds(2));
  RateLimiter fast({1000, 1}, clock);
  EXPECT_FALSE(fast.refuse("10.0.0.1"));
  EXPECT_EQ(fast.refuse("10.0.0.1"), seconds(1));
}

TEST(RateLimit, WithoutABurstItIsOneSecondsWorth) {
  fakes::ManualClock clock;
  RateLimiter limiter({5, 0}, clock);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limiter.refuse("10.0.0.1"));
  EXPECT_TRUE(limiter.refuse("10.0.0.1"));
  RateLimiter slow({0.5, 0}, clock);
  EXPECT_FALSE(slow.refuse("10.0.0.1"));
  EXPECT_TRUE(slow.refuse("10.0.0.1"));
}

TEST(RateLimit, WithoutARateEverythingIsAllowed) {
  fakes::ManualClock clock;
  RateLimiter limiter({0, 0}, clock);
  for (int i = 0; i < 10'000; ++i) EXPECT_FALSE(limiter.refuse("10.0.0.1"));
}

TEST(RateLimit, ClientsDoNotShareABucket) {
  fakes::ManualClock clock;
  RateLimiter limiter({1, 1}, clock);
  for (const char* client : {"10.0.0.1", "10.0.0.2", "fd00::1", "fd00:0:0:1::1", "::1", "unparsed"})
    EXPECT_FALSE(limiter.refuse(client)) << client;
}

TEST(RateLimit, AnIpv6NetworkIsOneClientAndAMappedAddressIsIpv4) {
  fakes::ManualClock clock;
  RateLimiter limiter({1, 1}, clock);
  EXPECT_FALSE(limiter.refuse("fd00::1"));
  EXPECT_TRUE(limiter.refuse("fd00::ffff:2"));
  EXPECT_FALSE(limiter.refuse("10.0.0.1"));
  EXPECT_TRUE(limiter.refuse("::ffff:10.0.0.1"));
}

TEST(RateLimit, ManyClientsAreServedInBoundedMemory) {
  fakes::ManualClock clock;
  RateLimiter limiter({1, 1}, clock);
  for (int i = 0; i < 300'000; ++i) {
    EXPECT_FALSE(limiter.refuse(std::to_string(i % 250) + "." + std::to_string(i / 250 % 250) + "." + std::to_string(i / 62'500) + ".1"));
  }
}

}  // namespace
}  // namespace cistern::limit
