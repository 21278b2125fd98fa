#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operator/reconcile/status_world.hpp"

namespace cistern::reconcile {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// "Warning SecretMissing", in order.
std::vector<std::string> names(const std::vector<StatusEvent>& events) {
  std::vector<std::string> all;
  for (const auto& event : events) all.push_back((event.warning ? "Warning " : "Normal ") + event.reason);
  return all;
}

json status_of(void (*make)(World&)) {
  World world;
  make(world);
  return world.status();
}

json in_force() {
  return status_of([](World&) {});
}

void break_image(World& world) { world.sick_pod(0).waiting_reason = "ErrImagePull"; }
void miss_secret(World& world) { world.group().missing = {{"spec.go.upstreams[0].credentialsRef", "Secret corp does not exist"}}; }
void lose_node(World& world) { world.outcome.lost_to = {{"strict", {1, 0}}}; }
void make_invalid(World& world) { world.state.invalid = "spec.retries: 400 is more than 10"; }
void roll_out(World& world) { world.group().config_hash = "hash-new"; }

TEST(Events, of_a_new_policy_are_that_it_is_accepted_and_then_in_force) {
  const auto starting = status_of(roll_out);
  EXPECT_THAT(names(status_events(json(), starting)), ElementsAre("Normal Accepted"));
  EXPECT_THAT(names(status_events(starting, in_force())), ElementsAre("Normal InForce"));
}

TEST(Events, warn_once_of_what_several_conditions_tell_for_the_same_reason) {
  const auto events = status_events(in_force(), status_of(make_invalid));
  EXPECT_THAT(names(events), ElementsAre("Warning Invalid"));
  EXPECT_THAT(events.front().note, HasSubstr("spec.retries: 400 is more than 10"));
}

TEST(Events, tell_of_another_mistake_in_a_policy_that_was_wrong_already) {
  const auto first = status_of(make_invalid);
  const auto second = status_of([](World& world) { world.state.invalid = "spec.timeouts.idle: no duration"; });
  EXPECT_THAT(names(status_events(first, second)), ElementsAre("Warning Invalid"));
}

TEST(Events, tell_what_went_wrong_and_that_it_is_well_again) {
  EXPECT_THAT(names(status_events(in_force(), status_of(break_image))), ElementsAre("Warning ImagePullFailed"));
  EXPECT_THAT(names(status_events(status_of(break_image), in_force())), ElementsAre("Normal InForce"));
  EXPECT_THAT(names(status_events(in_force(), status_of(miss_secret))), ElementsAre("Warning SecretMissing"));
  EXPECT_THAT(names(status_events(status_of(miss_secret), in_force())), ElementsAre("Normal Recovered"));
  EXPECT_THAT(names(status_events(in_force(), status_of(lose_node))), ElementsAre("Warning OtherPolicyWins"));
  EXPECT_THAT(names(status_events(status_of(lose_node), in_force())), ElementsAre("Normal NotOverridden"));
  EXPECT_THAT(names(status_events(status_of(make_invalid), in_force())), ElementsAre("Normal Accepted", "Normal InForce"));
}

TEST(Events, tell_that_a_stalled_policy_goes_on) {
  EXPECT_THAT(names(status_events(status_of(make_invalid), status_of(roll_out))), ElementsAre("Normal Accepted", "Normal RollingOut"));
}

TEST(Events, of_a_rollout_are_none_until_it_is_done) { EXPECT_THAT(status_events(in_force(), status_of(roll_out)), IsEmpty()); }

TEST(Events, tell_that_something_could_not_be_written_though_the_agents_go_on) {
  const auto failing = status_of([](World& world) { world.group().apply_error = "503: etcdserver: request timed out"; });
  EXPECT_THAT(names(status_events(in_force(), failing)), ElementsAre("Warning ApplyFailed"));
  EXPECT_THAT(names(status_events(failing, in_force())), ElementsAre("Normal Applied"));
}

TEST(Events, do_not_repeat_what_goes_on) {
  const auto two = status_of([](World& world) {
    break_image(world);
    world.sick_pod(1).waiting_reason = "ErrImagePull";
  });
  EXPECT_THAT(status_events(status_of(break_image), two), IsEmpty());
  const auto crash = status_of([](World& world) { world.sick_pod(0).waiting_reason = "CrashLoopBackOff"; });
  EXPECT_THAT(names(status_events(status_of(break_image), crash)), ElementsAre("Warning CrashLooping"));
}

TEST(Events, take_whatever_the_object_had_as_status) {
  for (const auto* text :
       {"null", "5", "[]", "{}", R"({"conditions": {}})", R"({"conditions": [1, {"type": 3}, {"type": "Ready", "status": 7}]})"}) {
    EXPECT_THAT(names(status_events(json::parse(text), in_force())), ElementsAre("Normal Accepted", "Normal InForce")) << text;
    EXPECT_THAT(status_events(in_force(), json::parse(text)), IsEmpty()) << text;
  }
}

}  // namespace
}  // namespace cistern::reconcile
