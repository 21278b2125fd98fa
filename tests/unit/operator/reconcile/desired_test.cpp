#include "operator/reconcile/desired.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cistern::reconcile {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Object policy(const std::string& name, unsigned generation = 1, Json spec = Json::object(), const std::string& uid = "uid") {
  spec["go"] = {{"upstreams", Json::array({{{"url", "https://goproxy.io"}}})}};
  return std::make_shared<const Json>(Json{{"metadata",
                                            {{"name", name},
                                             {"uid", uid + "-" + name},
                                             {"generation", generation},
                                             {"creationTimestamp", "2026-01-01T00:00:00Z"},
                                             {"finalizers", Json::array({kFinalizer})}}},
                                           {"spec", std::move(spec)}});
}

Object with(const Object& object, const Json& merge) {
  Json copy = *object;
  copy.merge_patch(merge);
  return std::make_shared<const Json>(std::move(copy));
}

Object node(const std::string& name, Json labels = Json::object()) {
  return std::make_shared<const Json>(Json{{"metadata", {{"name", name}, {"labels", std::move(labels)}}}});
}

class DesiredTest : public testing::Test {
 protected:
  // Plans, and tells what has changed.
  Changes plan() {
    const auto before = desired_;
    desired_ = make_desired(*before, input_, "cistern-system");
    return changes(*before, *desired_);
  }
  // As after a restart of the operator.
  void forget() { desired_ = std::make_shared<const Desired>(); }

  std::map<std::string, Object> config_maps_;
  PlanInput input_{{policy("default")}, {node("n1"), node("n2")}, {}, [this](const std::string& name) { return config_maps_[name]; }};
  std::shared_ptr<const Desired> desired_ = std::make_shared<const Desired>();
};

TEST_F(DesiredTest, AFirstPlanChangesEverything) {
  const auto changed = plan();
  EXPECT_THAT(changed.groups, ElementsAre("default"));
  EXPECT_THAT(changed.policies, ElementsAre("default"));
  EXPECT_THAT(changed.nodes, ElementsAre("n1", "n2"));
  EXPECT_EQ(desired_->group_of("n1"), "default");
  EXPECT_EQ(desired_->group_of("unknown"), "");
}

TEST_F(DesiredTest, AReplicaThatFollowsHasInForceWhatTheLeaderAccepted) {
  plan();
  config_maps_["cistern-accepted-default"] = std::make_shared<const Json>(accepted_config_map(*desired_->policy("default"), "ns"));
  input_.policies = {policy("default", 2, {{"retries", 7}})};
  input_.follows = true;
  const auto before = desired_->policy("default")->accepted;
  plan();
  EXPECT_EQ(desired_->policy("default")->accepted, before) << "the leader has not taken generation 2 yet, and is not read anew";
  input_.follows = false;
  plan();
  EXPECT_EQ(desired_->policy("default")->accepted->generation, 2U);
  // The leader has taken it, which this one has never seen, and the newest is not valid.
  config_maps_["cistern-accepted-default"] = std::make_shared<const Json>(accepted_config_map(*desired_->policy("default"), "ns"));
  forget();
  input_.follows = true;
  input_.policies = {policy("default", 3, {{"retries", -1}})};
  plan();
  EXPECT_EQ(desired_->policy("default")->accepted->generation, 2U);
  // One of an earlier policy of the same name says nothing.
  input_.policies = {policy("default", 1, Json::object(), "other")};
  plan();
  EXPECT_EQ(desired_->policy("default")->accepted->generation, 1U);
}

TEST_F(DesiredTest, TheSamePlanAgainChangesNothing) {
  plan();
  const auto changed = plan();
  EXPECT_THAT(changed.groups, IsEmpty());
  EXPECT_THAT(changed.policies, IsEmpty());
  EXPECT_THAT(changed.nodes, IsEmpty());
}

TEST_F(DesiredTest, ANewNodeChangesThatNodeAndThePolicysStatusButNotTheGroupsObjects) {
  plan();
  input_.nodes.push_back(node("n3"));
  const auto changed = plan();
  EXPECT_THAT(changed.groups, IsEmpty());
  EXPECT_THAT(changed.policies, ElementsAre("default"));
  EXPECT_THAT(changed.nodes, ElementsAre("n3"));
}

TEST_F(DesiredTest, ASettingChangesTheGroup) {
  plan();
  input_.policies = {policy("default", 2, {{"retries", 7}})};
  const auto changed = plan();
  EXPECT_THAT(changed.groups, ElementsAre("default"));
  EXPECT_THAT(changed.policies, ElementsAre("default"));
  EXPECT_THAT(changed.nodes, IsEmpty());
}

TEST_F(DesiredTest, APolicyThatIsBeingDeletedIsInNoPlanAndAnotherTakesItsNodes) {
  input_.policies = {policy("a", 1, {{"priority", 5}}), policy("b")};
  plan();
  EXPECT_EQ(desired_->group_of("n1"), "a");
  input_.policies[0] = with(input_.policies[0], {{"metadata", {{"deletionTimestamp", "2026-01-02T00:00:00Z"}}}});
  const auto changed = plan();
  EXPECT_EQ(desired_->group_of("n1"), "b");
  EXPECT_THAT(changed.groups, ElementsAre("a", "b"));
  EXPECT_THAT(changed.nodes, ElementsAre("n1", "n2"));
  EXPECT_TRUE(desired_->policy("a")->deleting);
}

TEST_F(DesiredTest, APolicyThatGetsItsFinalizerIsLookedAtAsAWhole) {
  input_.policies = {with(policy("default"), {{"metadata", {{"finalizers", nullptr}}}})};
  plan();
  EXPECT_FALSE(desired_->policy("default")->guarded);
  input_.policies = {policy("default")};
  const auto changed = plan();
  EXPECT_THAT(changed.groups, ElementsAre("default"));
  EXPECT_THAT(changed.nodes, ElementsAre("n1", "n2"));
}

TEST_F(DesiredTest, AnInvalidSpecLeavesTheAcceptedOneInForce) {
  plan();
  input_.policies = {policy("default", 2, {{"retries", "many"}})};
  const auto changed = plan();
  const auto* entry = desired_->policy("default");
  ASSERT_TRUE(entry->invalid);
  EXPECT_THAT(*entry->invalid, HasSubstr("spec.retries"));
  EXPECT_EQ(entry->accepted->generation, 1U);
  EXPECT_THAT(changed.groups, IsEmpty());
  EXPECT_THAT(changed.policies, ElementsAre("default"));
  EXPECT_EQ(desired_->group_of("n1"), "default");
}

TEST_F(DesiredTest, TheAcceptedSpecOutlivesTheOperatorInAConfigMap) {
  input_.policies = {policy("default", 3, {{"retries", 7}})};
  plan();
  config_maps_[accepted_name("default")] =
      std::make_shared<const Json>(accepted_config_map(*desired_->policy("default"), "cistern-system"));
  forget();
  input_.policies = {policy("default", 4, {{"retries", "many"}})};
  plan();
  const auto* entry = desired_->policy("default");
  ASSERT_TRUE(entry->invalid);
  ASSERT_TRUE(entry->accepted);
  EXPECT_EQ(entry->accepted->generation, 3U);
  EXPECT_EQ(entry->accepted->policy.spec.settings.retries, 7U);
}

TEST_F(DesiredTest, TheConfigMapOfAnEarlierPolicyOfThatNameSaysNothing) {
  plan();
  config_maps_[accepted_name("default")] =
      std::make_shared<const Json>(accepted_config_map(*desired_->policy("default"), "cistern-system"));
  forget();
  input_.policies = {policy("default", 1, {{"retries", "many"}}, "another-uid")};
  plan();
  EXPECT_EQ(desired_->policy("default")->accepted, nullptr);
  EXPECT_EQ(desired_->group_of("n1"), "");
}

TEST_F(DesiredTest, ABrokenConfigMapIsNoMistake) {
  plan();
  for (const auto& data : {Json{{"spec", "{"}, {"generation", "1"}}, Json{{"spec", "{}"}}, Json::object()}) {
    auto config_map = accepted_config_map(*desired_->policy("default"), "cistern-system");
    config_map["data"] = data;
    config_maps_[accepted_name("default")] = std::make_shared<const Json>(config_map);
    const auto keep = desired_;
    forget();
    input_.policies = {policy("default", 4, {{"retries", "many"}})};
    plan();
    EXPECT_EQ(desired_->policy("default")->accepted, nullptr);
    desired_ = keep;
  }
}

}  // namespace
}  // namespace cistern::reconcile
