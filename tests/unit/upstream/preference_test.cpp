#include "cache-agent/upstream/preference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "cache-agent/upstream/speed.hpp"
#include "tests/fakes/manual_clock.hpp"

namespace cistern::upstream {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// Upstreams whose times are given, asked every so often, in steps of 250 ms like the agent's.
class PreferenceTest : public testing::Test {
 protected:
  struct World {
    milliseconds probe{20};    // to answer a probe
    milliseconds request{20};  // an object
    bool usable = true;
    unsigned probes = 0;
  };

  void make(std::vector<World> worlds) {
    worlds_ = std::move(worlds);
    for (std::size_t i = 0; i < worlds_.size(); ++i) speeds_.emplace_back(clock_);
    preference_.emplace(worlds_.size(), 1);
  }
  Standings standings() const {
    Standings standings;
    for (std::size_t i = 0; i < worlds_.size(); ++i) {
      standings.push_back({worlds_[i].usable, worlds_[i].usable, speeds_[i].measures()});
    }
    return standings;
  }
  // Noise of up to a tenth, always the same.
  microseconds noisy(milliseconds time) {
    noise_ = noise_ * 1103515245 + 12345;
    return microseconds(time) * (90 + (noise_ >> 16) % 21) / 100;
  }
  void pass(std::chrono::seconds time, std::chrono::milliseconds between_requests = 500ms) {
    for (milliseconds passed{0}; passed < time; passed += 250ms) {
      clock_.advance(250ms);
      const auto now = clock_.steady();
      const auto chosen = preference_->look(standings(), now);
      for (const auto i : preference_->probes_due(standings(), now)) {
        ++worlds_[i].probes;
        speeds_[i].answered({{}, noisy(worlds_[i].probe)}, Speed::Of::kProbe);
      }
      if (between_requests > 0ms && passed % between_requests == 0ms) {
        speeds_[chosen].answered({{}, noisy(worlds_[chosen].request)}, Speed::Of::kRequest);
      }
    }
  }
  std::size_t preferred() const { return preference_->preferred(); }

  fakes::ManualClock clock_;
  std::vector<World> worlds_;
  std::deque<Speed> speeds_;
  std::optional<Preference> preference_;
  unsigned noise_ = 1;
};

TEST_F(PreferenceTest, TheFastestIsFoundByProbesBeforeAnythingIsAsked) {
  make({{200ms, 200ms}, {20ms, 20ms}, {100ms, 100ms}});
  pass(5s, 0ms);
  EXPECT_EQ(preferred(), 1U);
  EXPECT_THAT(preference_->order(standings()), testing::ElementsAre(1, 2, 0));
}

TEST_F(PreferenceTest, AlmostAsFastKeepsThePolicysOrder) {
  make({{22ms, 22ms}, {20ms, 20ms}});
  pass(300s);
  EXPECT_EQ(preferred(), 0U);
  EXPECT_EQ(preference_->changes(), 0U);
}

TEST_F(PreferenceTest, TheSlowOneIsLeftAndComesBackWhenTheySwap) {
  make({{20ms, 20ms}, {100ms, 100ms}});
  pass(60s);
  ASSERT_EQ(preferred(), 0U);
  for (int swap = 0; swap < 2; ++swap) {
    std::swap(worlds_[0], worlds_[1]);
    pass(90s);
    EXPECT_EQ(preferred(), swap == 0 ? 1U : 0U);
    EXPECT_EQ(preference_->changes(), swap + 1U);
  }
}

TEST_F(PreferenceTest, ASwapIsSeenWithinHalfAMinuteOrSo) {
  make({{20ms, 20ms}, {150ms, 150ms}});
  pass(60s);
  std::swap(worlds_[0], worlds_[1]);
  pass(40s);
  EXPECT_EQ(preferred(), 1U);
}

TEST_F(PreferenceTest, ProbesOfAnUpstreamThatVariesAreStillFew) {
  make({{20ms, 20ms}, {100ms, 100ms}});
  pass(30s);
  worlds_[1].probes = 0;
  for (int i = 0; i < 300; ++i) {
    worlds_[1].probe = i % 2 == 0 ? 50ms : 500ms;
    pass(2s);
  }
  EXPECT_LE(worlds_[1].probes, 10U * (8 + 6));
}

TEST_F(PreferenceTest, WithoutRequestsTheSwapIsSeenByProbes) {
  make({{20ms, 20ms}, {100ms, 100ms}});
  pass(20s, 0ms);
  std::swap(worlds_[0], worlds_[1]);
  pass(120s, 0ms);
  EXPECT_EQ(preferred(), 1U);
}

TEST_F(PreferenceTest, ObjectsThatTakeLongAreNotTakenForASlowUpstream) {
  // Each of them takes 300 ms for an object and 20 ms for a probe.
  make({{20ms, 300ms}, {20ms, 300ms}});
  pass(1800s);
  EXPECT_EQ(preference_->changes(), 0U);
}

TEST_F(PreferenceTest, SwingingTimesDoNotMakeItFlap) {
  make({{20ms, 20ms}, {30ms, 30ms}});
  for (int i = 0; i < 120; ++i) {  // two hours
    std::swap(worlds_[0], worlds_[1]);
    pass(60s);
  }
  EXPECT_LE(preference_->changes(), 16U) << "at most one in ten minutes, once it has been seen to swing";
}

TEST_F(PreferenceTest, AShortSlownessIsSatOut) {
  make({{20ms, 20ms}, {60ms, 60ms}});
  pass(60s);
  for (int i = 0; i < 10; ++i) {
    worlds_[0].request = worlds_[0].probe = 500ms;
    pass(3s);
    worlds_[0].request = worlds_[0].probe = 20ms;
    pass(60s);
  }
  EXPECT_EQ(preferred(), 0U);
  EXPECT_EQ(preference_->changes(), 0U);
}

TEST_F(PreferenceTest, OneThatFailsIsLeftAtOnceAndComesBackForAReason) {
  make({{20ms, 20ms}, {100ms, 100ms}});
  pass(60s);
  worlds_[0].usable = false;
  pass(1s);
  EXPECT_EQ(preferred(), 1U);
  worlds_[0].usable = true;
  pass(5s);
  EXPECT_EQ(preferred(), 1U) << "not before it has been better for a while";
  pass(120s);
  EXPECT_EQ(preferred(), 0U);
}

TEST_F(PreferenceTest, ProbesAreFewAndOnlyOfTheIdle) {
  make({{20ms, 20ms}, {100ms, 100ms}});
  pass(30s);
  worlds_[0].probes = worlds_[1].probes = 0;
  pass(600s);
  EXPECT_EQ(worlds_[0].probes, 0U) << "requests tell";
  EXPECT_GE(worlds_[1].probes, 600U / 19);
  EXPECT_LE(worlds_[1].probes, 600U / 11);
}

TEST_F(PreferenceTest, AnIdleAgentHardlyProbes) {
  make({{20ms, 20ms}, {100ms, 100ms}});
  pass(330s, 0ms);
  worlds_[0].probes = worlds_[1].probes = 0;
  pass(3600s, 0ms);
  EXPECT_LE(worlds_[0].probes, 16U);
  EXPECT_GE(worlds_[0].probes, 9U);
}

TEST_F(PreferenceTest, WhoCanNotBeAskedGoesLast) {
  make({{20ms, 20ms}, {30ms, 30ms}, {100ms, 100ms}});
  pass(20s);
  worlds_[0].usable = worlds_[1].usable = false;
  pass(1s);
  EXPECT_THAT(preference_->order(standings()), testing::ElementsAre(2, 0, 1));
  worlds_[2].usable = false;
  pass(1s);
  EXPECT_THAT(preference_->order(standings()), testing::ElementsAre(2, 0, 1)) << "all fail: nobody is left out";
}

}  // namespace
}  // namespace cistern::upstream
