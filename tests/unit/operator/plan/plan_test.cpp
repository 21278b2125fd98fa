#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/model/parse.hpp"
#include "operator/plan/explain.hpp"
#include "operator/plan/machine.hpp"
#include "tests/unit/operator/plan/policies.hpp"

namespace cistern::plan {
namespace {

using test::policy;
using testing::ElementsAre;

MachinePlan plan_of(const std::string& text) {
  const auto policies = test::policies_of(text);
  return policies.empty() ? MachinePlan{} : plan_machine(policies);
}

TEST(Winner, is_the_highest_priority) {
  const auto plan = plan_of(policy("name: a", "") + policy("name: b", "priority: 1"));
  EXPECT_EQ(plan.policy, "b");
  ASSERT_EQ(plan.overridden.size(), 1U);
  EXPECT_EQ(plan.overridden[0].to_string(),
            "p.yaml:4: policy a is overridden by b, which has the higher priority, or is older, or comes first by name");
}

TEST(Winner, is_the_oldest_among_equals_and_one_without_age_is_the_newest) {
  EXPECT_EQ(plan_of(policy("name: a, creationTimestamp: \"2025-02-01T00:00:00Z\"", "") + policy("name: b", "") +
                    policy("name: c, creationTimestamp: \"2024-02-01T00:00:00Z\"", ""))
                .policy,
            "c");
}

TEST(Winner, is_the_first_by_name_among_equals) { EXPECT_EQ(plan_of(policy("name: b", "") + policy("name: a", "")).policy, "a"); }

TEST(Notices, name_everything_that_is_not_in_force_and_nothing_else) {
  const auto plan =
      plan_of(policy("name: a",
                     "nodeSelector: {matchLabels: {a: b}}, go: {upstreams: [{url: \"https://a\", rollout: {percent: 5}}]}, "
                     "storage: {size: 1Gi, hostPath: /x}, injection: {mode: Off}, nodeConfig: {}, prefetch: {}, peers: {}, agent: {}, "
                     "region: {default: cn}, regions: {cn: {retries: 1}}, profiles: {dev: {retries: 2, go: {deny: [x.example]}}}"));
  std::vector<std::string> paths;
  for (const auto& notice : plan.notices) paths.push_back(notice.path);
  EXPECT_THAT(paths,
              ElementsAre("spec.nodeSelector", "spec.storage.hostPath", "spec.injection", "spec.nodeConfig", "spec.prefetch", "spec.peers",
                          "spec.agent", "spec.region", "spec.regions.cn", "spec.profiles.dev.retries"));
  EXPECT_EQ(plan.notices[4].to_string(),
            "p.yaml:4: spec.prefetch: accepted, but not in force in standalone mode: nothing is fetched ahead of its use yet");
}

TEST(Notices, a_policy_that_is_wholly_in_force_has_none) {
  const auto plan = plan_of(policy("name: a", "go: {upstreams: [{url: \"https://a\"}]}, timeouts: {idle: 1s}, storage: {size: 1Gi}"));
  EXPECT_TRUE(plan.notices.empty());
}

TEST(Notices, a_policy_that_serves_nothing_says_so) {
  const auto plan = plan_of(policy("name: a", ""));
  ASSERT_EQ(plan.notices.size(), 1U);
  EXPECT_EQ(plan.notices[0].path, "spec");
}

TEST(Views, each_profile_sees_go_by_its_own_rules_over_those_of_the_policy) {
  const auto plan = plan_of(policy("name: a",
                                   "go: {upstreams: [{url: \"https://a\"}], deny: [x.example]}, retries: 1, "
                                   "profiles: {dev: {go: {deny: []}}, prod: {retries: 2, go: {upstreams: [{url: \"https://b\"}]}}}"));
  ASSERT_EQ(plan.views.size(), 2U);
  EXPECT_EQ(plan.views[0].profile, "dev");
  EXPECT_TRUE(plan.views[0].go.deny.empty());
  EXPECT_EQ(plan.views[0].go.upstreams[0].name, "a");
  EXPECT_EQ(plan.views[1].go.upstreams[0].name, "b");
  EXPECT_EQ(plan.views[1].go.deny, std::vector<std::string>{"x.example"});
  EXPECT_EQ(plan.effective.settings.retries, 1U) << "a profile's other settings are not in force";
}

TEST(Explain, tells_where_each_value_came_from_through_overlays) {
  const auto policies = model::parse_policies(R"(apiVersion: cistern.dev/v1alpha1
kind: MirrorPolicy
metadata: {name: a}
spec:
  timeouts:
    connect: 1s
  images:
    registries:
    - name: docker.io
      upstreams: [{url: "https://a"}]
      tagTTL: 1m
  regions:
    cn:
      timeouts: {idle: 9s}
      images:
        registries:
        - name: docker.io
          tagTTL: 2m
)",
                                              "p.yaml");
  ASSERT_TRUE(policies) << policies.error().message;
  yaml::Problems none;
  const auto effective = model::effective(policies->front(), "cn", "", none);
  ASSERT_TRUE(none.empty());
  std::vector<std::string> lines;
  for (const auto& value : explain(effective, {"timeouts", "spec.images.registries[0].tagTTL"})) {
    lines.push_back(value.path + " = " + value.value + " # " + value.origin);
  }
  EXPECT_THAT(lines, ElementsAre("spec.images.registries[0].tagTTL = \"2m\" # p.yaml:18", "spec.timeouts.connect = \"1s\" # p.yaml:6",
                                 "spec.timeouts.firstByte = \"15s\" # default", "spec.timeouts.idle = \"9s\" # p.yaml:14"));
}

}  // namespace
}  // namespace cistern::plan
