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

MachinePlan plan_of(const std::string& text, const MachinePlace& place = {}) {
  const auto policies = test::policies_of(text);
  if (policies.empty()) return {};
  const auto plan = plan_machine(policies, place);
  EXPECT_TRUE(plan) << plan.error().message;
  return plan.value_or(MachinePlan{});
}

std::string refusal(const std::string& text, const MachinePlace& place) {
  const auto plan = plan_machine(test::policies_of(text), place);
  EXPECT_FALSE(plan);
  return plan ? "" : plan.error().message;
}

std::vector<std::string> noticed(const MachinePlan& plan) {
  std::vector<std::string> paths;
  for (const auto& notice : plan.notices) paths.push_back(notice.path);
  return paths;
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
                     "region: {labelKey: r}, profile: {labelKey: p}, regions: {cn: {retries: 1}}, profiles: {dev: {retries: 2, go: {deny: "
                     "[x.example]}}}"));
  EXPECT_THAT(noticed(plan), ElementsAre("spec.nodeSelector", "spec.storage.hostPath", "spec.injection.mode", "spec.nodeConfig",
                                         "spec.prefetch", "spec.peers", "spec.agent", "spec.region.labelKey", "spec.profile.labelKey",
                                         "spec.regions.cn", "spec.profiles.dev.retries"));
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

TEST(Place, what_was_chosen_is_in_force_and_only_fields_of_a_cluster_are_noticed) {
  const auto text = policy("name: a",
                           "go: {upstreams: [{url: \"https://a\"}]}, retries: 1, regions: {cn: {retries: 2, go: {upstreams: [{url: "
                           "\"https://cn\"}]}, storage: {hostPath: /x}}, eu: {retries: 4}}, "
                           "profiles: {dev: {timeouts: {idle: 9s}, agent: {}, go: {deny: [x.example]}}, prod: {retries: 9}}");
  const auto plan = plan_of(text, {"cn", "dev"});
  EXPECT_EQ(plan.effective.settings.retries, 2U);
  EXPECT_EQ(plan.effective.settings.timeouts.idle, std::chrono::seconds(9));
  EXPECT_EQ(plan.go.upstreams[0].name, "cn");
  EXPECT_TRUE(plan.go.deny.empty()) << "/go/ is without a profile";
  ASSERT_NE(go_of(plan), nullptr);
  EXPECT_EQ(go_of(plan)->upstreams[0].name, "cn") << "a view is in the region too";
  EXPECT_EQ(go_of(plan)->deny, std::vector<std::string>{"x.example"});
  EXPECT_THAT(noticed(plan), ElementsAre("spec.regions.cn.storage.hostPath", "spec.profiles.dev.agent"));
}

TEST(Place, is_the_policys_default_where_nothing_was_chosen) {
  const auto text = policy("name: a",
                           "regions: {cn: {retries: 2}, eu: {retries: 4}}, region: {default: cn}, profile: {default: p}, "
                           "profiles: {p: {timeouts: {idle: 9s}}}");
  EXPECT_EQ(plan_of(text).effective.settings.retries, 2U);
  EXPECT_EQ(plan_of(text).place.profile, "p");
  EXPECT_EQ(plan_of(text, {"eu", ""}).effective.settings.retries, 4U);
}

TEST(Place, a_default_that_the_policy_does_not_define_is_a_notice_and_what_was_asked_for_an_error) {
  const auto text = policy("name: a", "go: {upstreams: [{url: \"https://a\"}]}, region: {default: cn}, profiles: {dev: {}}");
  const auto plan = plan_of(text);
  EXPECT_EQ(plan.place.region, "");
  ASSERT_EQ(plan.notices.size(), 1U);
  EXPECT_EQ(plan.notices[0].to_string(),
            "p.yaml:4: spec.region.default: accepted, but not in force in standalone mode: spec.regions does not define \"cn\"");
  EXPECT_EQ(refusal(text, {"eu", ""}), "policy a has no region \"eu\"");
  EXPECT_EQ(refusal(text, {"", "prod"}), "policy a has no profile \"prod\"");
}

TEST(Place, a_region_and_a_profile_that_do_not_fit_together_are_refused) {
  const auto text = policy("name: a",
                           "images: {registries: [{name: r.example, upstreams: [{url: \"https://a\"}]}]}, "
                           "regions: {cn: {images: {registries: [{name: r.example, fallbackToSource: false}]}}}, "
                           "profiles: {dev: {nodeConfig: {mode: Off}}}");
  EXPECT_THAT(refusal(text, {"cn", "dev"}),
              testing::StartsWith("with region cn and profile dev: p.yaml:4: spec.images.registries[0].fallbackToSource: "));
  EXPECT_EQ(plan_of(text, {"cn", ""}).place.region, "cn");
}

TEST(Place, a_profile_without_a_view_is_told_of_no_go) {
  const auto text = policy("name: a", "profiles: {dev: {go: {upstreams: [{url: \"https://a\"}]}}}");
  EXPECT_EQ(go_of(plan_of(text, {"", "dev"})), nullptr);
  EXPECT_EQ(go_of(plan_of(text)), nullptr);
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
