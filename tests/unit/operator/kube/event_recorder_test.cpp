#include "operator/kube/event_recorder.hpp"

#include <gmock/gmock.h>

#include <thread>

#include "tests/fakes/manual_clock.hpp"
#include "tests/unit/operator/kube/fixture.hpp"

namespace cistern::kube {
namespace {

using fakes::ApiServer;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Json policy(const std::string& name) {
  return {{"apiVersion", "cistern.dev/v1alpha1"}, {"kind", "MirrorPolicy"}, {"metadata", {{"name", name}, {"uid", "u-" + name}}}};
}

class EventRecorderTest : public testing::Test {
 protected:
  bool wait_for_requests(std::size_t count) const {
    for (int i = 0; i < 300 && server_.mutating_requests().size() < count; ++i) std::this_thread::sleep_for(milliseconds(10));
    return server_.mutating_requests().size() >= count;
  }
  void warn(const std::string& name, const std::string& note) {
    recorder_->record(policy(name), EventType::kWarning, "Conflict", "Accept", note);
  }

  ApiServer server_;
  fakes::ManualClock clock_;
  std::unique_ptr<Client> client_ = client_of(server_);
  std::unique_ptr<EventRecorder> recorder_ = make_event_recorder(*client_, clock_, {.instance = "pod-1"});
};

TEST_F(EventRecorderTest, WritesWhatKubectlDescribeShows) {
  warn("p", "node-1 belongs to policy q");
  ASSERT_TRUE(wait_for_requests(1));
  const auto events = server_.objects(kEvents);
  ASSERT_EQ(events.size(), 1U);
  const auto& event = events[0];
  EXPECT_EQ(event.at("reason"), "Conflict");
  EXPECT_EQ(event.at("action"), "Accept");
  EXPECT_EQ(event.at("type"), "Warning");
  EXPECT_EQ(event.at("note"), "node-1 belongs to policy q");
  EXPECT_EQ(event.at("reportingController"), "cistern.dev/operator");
  EXPECT_EQ(event.at("reportingInstance"), "pod-1");
  EXPECT_EQ(event.at("eventTime"), "2025-06-15T15:23:20.000000Z");
  EXPECT_EQ(event.at("regarding"), (Json{{"apiVersion", "cistern.dev/v1alpha1"}, {"kind", "MirrorPolicy"}, {"name", "p"}, {"uid", "u-p"}}));
  EXPECT_EQ(metadata(event, "namespace"), "default") << "as the API demands of objects without a namespace";
}

TEST_F(EventRecorderTest, WritesIntoTheNamespaceOfTheObject) {
  recorder_->record(config_map("x", "a"), EventType::kNormal, "Applied", "Apply", "done");
  ASSERT_TRUE(wait_for_requests(1));
  EXPECT_EQ(metadata(server_.objects(kEvents).at(0), "namespace"), "x");
}

TEST_F(EventRecorderTest, CountsUpWhatHappensAgain) {
  for (int i = 0; i < 50; ++i) warn("p", "the same");
  ASSERT_TRUE(wait_for_requests(2));
  std::this_thread::sleep_for(milliseconds(400));
  EXPECT_EQ(server_.mutating_requests().size(), 2U) << "the event, and that it is a series";
  clock_.advance(minutes(2));
  ASSERT_TRUE(wait_for_requests(3));
  ASSERT_EQ(server_.objects(kEvents).size(), 1U);
  EXPECT_EQ(server_.objects(kEvents)[0].at("series").at("count"), 50);
  EXPECT_EQ(server_.objects(kEvents)[0].at("series").at("lastObservedTime"), "2025-06-15T15:23:20.000000Z");
}

TEST_F(EventRecorderTest, TellsADifferentNoteReasonOrObjectApart) {
  warn("p", "one");
  warn("p", "two");
  warn("q", "one");
  recorder_->record(policy("p"), EventType::kWarning, "Other", "Accept", "one");
  recorder_->record(policy("p"), EventType::kNormal, "Conflict", "Accept", "one");
  ASSERT_TRUE(wait_for_requests(5));
  EXPECT_EQ(server_.objects(kEvents).size(), 5U);
}

TEST_F(EventRecorderTest, ASeriesEndsAfterTenQuietMinutes) {
  warn("p", "one");
  ASSERT_TRUE(wait_for_requests(1));
  clock_.advance(minutes(11));
  warn("p", "one");
  ASSERT_TRUE(wait_for_requests(2));
  EXPECT_EQ(server_.objects(kEvents).size(), 2U);
}

TEST_F(EventRecorderTest, LimitsWhatOneObjectMayGet) {
  for (int i = 0; i < 60; ++i) warn("p", "note " + std::to_string(i));
  warn("q", "is heard");
  ASSERT_TRUE(wait_for_requests(26));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(server_.objects(kEvents).size(), 26U);
  clock_.advance(minutes(5));
  warn("p", "later");
  warn("p", "too much");
  ASSERT_TRUE(wait_for_requests(27));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(server_.objects(kEvents).size(), 27U);
}

TEST_F(EventRecorderTest, CutsALongNoteBetweenCharacters) {
  std::string note;
  for (int i = 0; i < 600; ++i) note += "ä";
  warn("p", note);
  ASSERT_TRUE(wait_for_requests(1));
  const auto written = server_.objects(kEvents).at(0).at("note").get<std::string>();
  EXPECT_LE(written.size(), 1024U);
  EXPECT_GT(written.size(), 1000U);
  EXPECT_TRUE(written.ends_with("ä…"));
}

TEST_F(EventRecorderTest, NeverBlocksAndEndsAnywayWhenTheServerDoesNotAnswer) {
  server_.add_fault({.times = 0, .silent = true});
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1500; ++i) warn("p" + std::to_string(i), "note");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(4)) << "one request alone takes five";
  const auto end = std::chrono::steady_clock::now();
  client_->interrupt();
  recorder_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - end, seconds(3));
}

TEST_F(EventRecorderTest, WritesWhatItHasWhenItEnds) {
  for (int i = 0; i < 20; ++i) warn("p", "note " + std::to_string(i));
  for (int i = 0; i < 3; ++i) warn("p", "note 0");
  recorder_.reset();
  EXPECT_EQ(server_.objects(kEvents).size(), 20U);
  EXPECT_TRUE(std::ranges::any_of(server_.objects(kEvents),
                                  [](const Json& event) { return event.contains("series") && event.at("series").at("count") == 4; }));
}

TEST_F(EventRecorderTest, AnEventThatTheServerHasForgottenIsWrittenAnew) {
  warn("p", "one");
  ASSERT_TRUE(wait_for_requests(1));
  server_.remove(kEvents, key_of(server_.objects(kEvents).at(0)));
  warn("p", "one");
  ASSERT_TRUE(wait_for_requests(2));
  warn("p", "one");
  ASSERT_TRUE(wait_for_requests(3));
  EXPECT_EQ(server_.objects(kEvents).size(), 1U);
}

}  // namespace
}  // namespace cistern::kube
