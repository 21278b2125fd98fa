#include "cache-agent/upstream/speed.hpp"

#include <gtest/gtest.h>

#include "tests/fakes/manual_clock.hpp"

namespace cistern::upstream {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

class SpeedTest : public testing::Test {
 protected:
  void answered(microseconds first_byte, Speed::Of what = Speed::Of::kRequest) { speed_.answered({{}, first_byte}, what); }
  microseconds score() const {
    const auto measures = speed_.measures();
    return measures.score(measures.track());
  }

  fakes::ManualClock clock_;
  Speed speed_{clock_};
};

TEST_F(SpeedTest, KeepsRequestsAndProbesApart) {
  answered(300ms);
  answered(20ms, Speed::Of::kProbe);
  const auto measures = speed_.measures();
  EXPECT_EQ(measures.requests.first_byte, 300ms);
  EXPECT_EQ(measures.probes.first_byte, 20ms);
  EXPECT_EQ(&measures.track(), &measures.requests);
}

TEST_F(SpeedTest, OneOutlierDoesNotCount) {
  for (int i = 0; i < 20; ++i) answered(20ms);
  answered(10s);
  EXPECT_LT(speed_.measures().requests.first_byte, 50ms);
  for (int i = 0; i < 10; ++i) answered(20ms);
  EXPECT_LT(score(), 30ms);
}

TEST_F(SpeedTest, AChangeThatStaysIsSeenWithinAFewAnswers) {
  for (int i = 0; i < 20; ++i) answered(20ms);
  for (int i = 0; i < 8; ++i) answered(500ms);
  EXPECT_GT(speed_.measures().requests.first_byte, 200ms);
}

TEST_F(SpeedTest, VaryingAnswersScoreWorseThanEvenOnes) {
  Speed even(clock_);
  for (int i = 0; i < 40; ++i) {
    even.answered({{}, 100ms}, Speed::Of::kRequest);
    answered(i % 2 == 0 ? 50ms : 150ms);
  }
  EXPECT_GT(speed_.measures().requests.jitter, 20ms);
  const auto measures = even.measures();
  EXPECT_EQ(measures.requests.jitter, 0ms);
  EXPECT_GT(score(), measures.score(measures.requests));
}

TEST_F(SpeedTest, FailuresCostTime) {
  for (int i = 0; i < 10; ++i) answered(20ms);
  speed_.failed();
  EXPECT_GE(score(), 120ms);
  for (int i = 0; i < 60; ++i) answered(20ms);
  EXPECT_LT(score(), 25ms);
}

TEST_F(SpeedTest, ConnectAndTotalAreSmoothedToo) {
  speed_.answered({10ms, 20ms}, Speed::Of::kRequest);
  speed_.answered({30ms, 20ms}, Speed::Of::kRequest);
  speed_.whole(40ms);
  EXPECT_EQ(speed_.measures().connect, 15ms);
  EXPECT_EQ(speed_.measures().total, 40ms);
  clock_.advance(5s);
  answered(20ms);
  EXPECT_EQ(speed_.measures().asked, clock_.steady());
  EXPECT_EQ(speed_.measures().connect, 15ms) << "no connection was made";
}

}  // namespace
}  // namespace cistern::upstream
