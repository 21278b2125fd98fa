// The whole status of each state, as golden/NAME.json. To take what is made now as right: CISTERN_UPDATE_GOLDEN=1.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "tests/fakes/places/places.hpp"
#include "tests/unit/operator/reconcile/status_world.hpp"

namespace cistern::reconcile {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kRecorded = fakes::source_folder() / "tests/unit/operator/reconcile/golden";

class StatusOf : public testing::TestWithParam<Case> {
 protected:
  StatusOf() { GetParam().make(world_); }
  World world_;
};

TEST_P(StatusOf, is_as_recorded) {
  const auto file = kRecorded / (std::string(GetParam().name) + ".json");
  const auto text = world_.status().dump(2) + "\n";
  if (std::getenv("CISTERN_UPDATE_GOLDEN") != nullptr) fakes::write_file(file, text);
  EXPECT_EQ(text, fakes::read_file(file));
}

TEST_P(StatusOf, is_the_same_whatever_the_order_of_what_is_known) {
  const auto first = world_.status();
  auto& groups = world_.state.groups;
  std::reverse(groups.begin(), groups.end());
  for (auto& group : groups) {
    std::reverse(group.nodes.begin(), group.nodes.end());
    std::reverse(group.unreachable.begin(), group.unreachable.end());
    std::reverse(group.pods.begin(), group.pods.end());
    std::reverse(group.missing.begin(), group.missing.end());
    for (auto& pod : group.pods) {
      if (pod.report) std::reverse(pod.report->upstreams.begin(), pod.report->upstreams.end());
    }
  }
  std::reverse(world_.outcome.unknown.begin(), world_.outcome.unknown.end());
  std::reverse(world_.outcome.problems.begin(), world_.outcome.problems.end());
  EXPECT_EQ(world_.status().dump(), first.dump());
}

TEST_P(StatusOf, is_the_very_same_later_when_nothing_has_changed_and_is_worth_no_event) {
  const auto first = world_.status();
  world_.object["status"] = first;
  const auto later = world_.status(World::kNow + std::chrono::hours(5));
  EXPECT_EQ(later.dump(), first.dump());
  EXPECT_TRUE(status_events(first, later).empty());
}

TEST_P(StatusOf, has_six_conditions_that_the_api_server_takes_and_kstatus_understands) {
  const auto status = world_.status();
  ASSERT_EQ(status["conditions"].size(), 6U);
  for (const auto& one : status["conditions"]) {
    const auto reason = one["reason"].get<std::string>();
    const auto message = one["message"].get<std::string>();
    EXPECT_TRUE(!reason.empty() && std::isupper(static_cast<unsigned char>(reason[0])) != 0 &&
                std::all_of(reason.begin(), reason.end(), [](unsigned char c) { return std::isalnum(c) != 0; }))
        << reason;
    EXPECT_FALSE(message.empty()) << reason;
    EXPECT_LE(message.size(), 1024U) << reason;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_EQ(one["observedGeneration"], status["observedGeneration"]);
  }
  const bool reconciling = condition(status, "Reconciling")["status"] == "True";
  const bool stalled = condition(status, "Stalled")["status"] == "True";
  EXPECT_FALSE(reconciling && stalled);
  // Who waits by kstatus must neither wait for ever nor go on too early.
  if (condition(status, "Ready")["status"] != "True") {
    EXPECT_TRUE(reconciling || stalled);
  }
  if (stalled) {
    EXPECT_EQ(condition(status, "Ready")["status"], "False");
  }
}

INSTANTIATE_TEST_SUITE_P(States, StatusOf, testing::ValuesIn(cases()), [](const auto& test) { return test.param.name; });

TEST(StatusFiles, are_those_of_the_states_and_no_others) {
  std::set<std::string> names;
  for (const auto& one : cases()) names.insert(std::string(one.name) + ".json");
  for (const auto& entry : fs::directory_iterator(kRecorded)) {
    EXPECT_TRUE(names.erase(entry.path().filename().string())) << entry.path() << " belongs to no state";
  }
  EXPECT_TRUE(names.empty()) << *names.begin() << " is not recorded";
}

}  // namespace
}  // namespace cistern::reconcile
