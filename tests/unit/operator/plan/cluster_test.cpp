#include "operator/plan/cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/plan/names.hpp"
#include "tests/unit/operator/plan/policies.hpp"

namespace cistern::plan {
namespace {

using test::policies_of;
using test::policy;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr const char* kGo = "go: {upstreams: [{url: \"https://a\"}]}";

NodeFacts node(const std::string& name, std::map<std::string, std::string> labels = {}) { return {name, std::move(labels)}; }
NodeFacts placed(const std::string& name, const std::string& region, const std::string& profile = "") {
  std::map<std::string, std::string> labels = {{"topology.kubernetes.io/region", region}};
  if (!profile.empty()) labels["cistern.dev/profile"] = profile;
  return {name, labels};
}

ClusterPlan cluster_plan(const std::string& policies, const std::vector<NodeFacts>& nodes,
                         const std::vector<NamespaceFacts>& namespaces = {}) {
  return plan_cluster(policies_of(policies), nodes, namespaces, "cistern-system");
}

std::vector<std::string> group_names(const ClusterPlan& plan) {
  std::vector<std::string> names;
  for (const auto& group : plan.groups) names.push_back(group.name);
  return names;
}

std::vector<std::string> notice_lines(const PolicyOutcome& outcome) {
  std::vector<std::string> lines;
  for (const auto& notice : outcome.notices) lines.push_back(notice.path);
  return lines;
}

TEST(Owner, of_a_node_has_the_highest_priority_then_age_then_name_and_the_others_count_what_they_lose) {
  const auto plan =
      cluster_plan(policy("name: low", "nodeSelector: {matchLabels: {a: x}}") +
                       policy("name: high", "priority: 2, nodeSelector: {matchLabels: {b: x}}") +
                       policy("name: old, creationTimestamp: \"2024-01-01T00:00:00Z\"", "nodeSelector: {matchLabels: {a: x}}"),
                   {node("n1", {{"a", "x"}}), node("n2", {{"a", "x"}, {"b", "x"}}), node("n3", {{"b", "x"}}), node("n4")});
  EXPECT_THAT(plan.group_of_node, ElementsAre(Pair("n1", "old"), Pair("n2", "high"), Pair("n3", "high")));
  ASSERT_EQ(plan.outcomes.size(), 3U);
  EXPECT_EQ(plan.outcomes[0].policy, "high");
  EXPECT_EQ(plan.outcomes[0].nodes, 2U);
  EXPECT_THAT(plan.outcomes[0].lost_to, IsEmpty());
  EXPECT_EQ(plan.outcomes[1].policy, "low");
  EXPECT_EQ(plan.outcomes[1].nodes, 0U);
  EXPECT_EQ(plan.outcomes[1].lost_to.at("old").nodes, 1U);
  EXPECT_EQ(plan.outcomes[1].lost_to.at("high").nodes, 1U);
  EXPECT_EQ(plan.outcomes[2].lost_to.at("high").nodes, 1U);
}

TEST(Owner, of_a_namespace_is_found_likewise_and_system_namespaces_and_our_own_have_none) {
  const auto plan = cluster_plan(
      policy("name: a", "namespaceSelector: {matchLabels: {team: x}}") + policy("name: b", "priority: -1"), {},
      {{"one", {{"team", "x"}}}, {"two", {}}, {"kube-system", {}}, {"kube-public", {}}, {"kube-node-lease", {}}, {"cistern-system", {}}});
  EXPECT_THAT(plan.policy_of_namespace, ElementsAre(Pair("one", "a"), Pair("two", "b")));
  EXPECT_EQ(plan.outcomes[0].namespaces, 1U);
  EXPECT_EQ(plan.outcomes[1].namespaces, 1U);
  EXPECT_EQ(plan.outcomes[1].lost_to.at("a").namespaces, 1U);
  EXPECT_EQ(plan.outcomes[1].lost_to.at("a").nodes, 0U);
}

struct Expression {
  const char* op;
  const char* values;
  bool without_key, with_first, with_other;
};

TEST(Selector, expressions_are_evaluated_as_the_api_server_does) {
  const std::map<std::string, std::string> without;
  const std::map<std::string, std::string> first = {{"k", "1"}};
  const std::map<std::string, std::string> other = {{"k", "9"}};
  for (const auto& [op, values, without_key, with_first, with_other] : {Expression{"In", "1 2", false, true, false},
                                                                        {"NotIn", "1 2", true, false, true},
                                                                        {"Exists", "", false, true, true},
                                                                        {"DoesNotExist", "", true, false, false}}) {
    model::LabelSelector selector;
    selector.match_expressions.push_back({"k", op, *values == '\0' ? std::vector<std::string>{} : std::vector<std::string>{"1", "2"}});
    EXPECT_EQ(selects(selector, without), without_key) << op;
    EXPECT_EQ(selects(selector, first), with_first) << op;
    EXPECT_EQ(selects(selector, other), with_other) << op;
    selector.match_labels["l"] = "x";
    EXPECT_FALSE(selects(selector, first)) << "labels and expressions must all hold";
  }
  EXPECT_TRUE(selects({}, without));
  EXPECT_TRUE(selects({}, first));
}

TEST(Groups, have_the_nodes_of_one_policy_region_and_profile_where_the_policy_defines_them) {
  const auto plan =
      cluster_plan(policy("name: default", std::string(kGo) + ", regions: {cn: {retries: 1}, eu: {}}, profiles: {prod: {retries: 2}}"),
                   {placed("n3", "cn"), placed("n1", "cn"), placed("n2", "cn", "prod"), node("n4"), placed("n5", "eu", "odd")});
  EXPECT_THAT(group_names(plan), ElementsAre("default", "default-cn", "default-cn-prod", "default-eu"));
  EXPECT_THAT(plan.groups[1].nodes, ElementsAre("n1", "n3"));
  EXPECT_EQ(plan.groups[0].effective.settings.retries, 3U);
  EXPECT_EQ(plan.groups[1].effective.settings.retries, 1U);
  EXPECT_EQ(plan.groups[2].effective.settings.retries, 2U);
  EXPECT_EQ(plan.groups[2].region, "cn");
  EXPECT_EQ(plan.groups[2].profile, "prod");
  const auto& unknown = plan.outcomes[0].unknown;
  ASSERT_EQ(unknown.size(), 1U);
  EXPECT_EQ(unknown[0].kind, "profile");
  EXPECT_EQ(unknown[0].name, "odd");
  EXPECT_EQ(unknown[0].nodes, 1U);
}

TEST(Groups, a_node_without_a_label_is_in_the_default_region_and_profile) {
  const auto plan = cluster_plan(
      policy("name: d",
             "region: {labelKey: where, default: cn}, profile: {default: prod}, regions: {cn: {}, eu: {}}, profiles: {prod: {}, dev: {}}"),
      {node("n1"), node("n2", {{"where", "eu"}, {"cistern.dev/profile", ""}})});
  EXPECT_THAT(group_names(plan), ElementsAre("d-cn-prod", "d-eu-prod"));
}

TEST(UnknownNames, are_counted_and_a_clouds_region_is_none_where_the_policy_knows_no_regions) {
  const auto plan = cluster_plan(policy("name: a", "region: {default: nowhere}, profile: {default: none}"),
                                 {placed("n1", "eu"), node("n2")}, {{"one", {{"cistern.dev/profile", "dev"}}}, {"two", {}}});
  std::vector<std::string> seen;
  for (const auto& name : plan.outcomes[0].unknown)
    seen.push_back(fmt::format("{} {} {} {}", name.kind, name.name, name.nodes, name.namespaces));
  EXPECT_THAT(seen, ElementsAre("profile dev 0 1", "profile none 2 1", "region nowhere 1 0"));
  EXPECT_THAT(group_names(plan), ElementsAre("a"));
}

TEST(Views, do_not_depend_on_the_nodes_profile_as_pods_have_their_own) {
  const auto plan = cluster_plan(
      policy("name: a", std::string(kGo) +
                            ", regions: {cn: {go: {upstreams: [{url: \"https://cn\"}]}}}, "
                            "profiles: {dev: {go: {deny: [x.example]}}, prod: {go: {upstreams: [{url: \"https://prod\"}]}, retries: 7}}"),
      {placed("n1", "cn", "prod"), placed("n2", "cn"), node("n3")});
  ASSERT_THAT(group_names(plan), ElementsAre("a", "a-cn", "a-cn-prod"));
  for (const auto& group : plan.groups) {
    const std::string here = group.region.empty() ? "a" : "cn";
    EXPECT_EQ(group.go.upstreams[0].name, here);
    ASSERT_EQ(group.views.size(), 2U);
    EXPECT_EQ(group.views[0].profile, "dev");
    EXPECT_EQ(group.views[0].go.upstreams[0].name, here);
    EXPECT_THAT(group.views[0].go.deny, ElementsAre("x.example"));
    EXPECT_EQ(group.views[1].go.upstreams[0].name, "prod");
  }
  EXPECT_EQ(plan.groups[2].effective.settings.retries, 7U);
}

TEST(Overlays, that_do_not_fit_together_are_told_once_and_make_no_group) {
  const auto plan = cluster_plan(
      policy("name: a", std::string(kGo) + ", images: {registries: [{name: docker.io, upstreams: [{url: \"https://r\"}]}]}, "
                                           "regions: {cn: {nodeConfig: {mode: Off}}}, "
                                           "profiles: {prod: {images: {registries: [{name: docker.io, fallbackToSource: false}]}}}"),
      {placed("n1", "cn"), placed("n2", "cn", "prod"), placed("n3", "eu", "prod")});
  EXPECT_THAT(group_names(plan), ElementsAre("a-cn", "a-prod"));
  EXPECT_EQ(plan.outcomes[0].nodes, 3U) << "it owns the node all the same";
  EXPECT_THAT(plan.group_of_node, testing::Not(testing::Contains(Pair("n2", testing::_))));
  ASSERT_EQ(plan.outcomes[0].problems.size(), 1U);
  EXPECT_THAT(plan.outcomes[0].problems[0], testing::StartsWith("with region cn and profile prod: "));
  EXPECT_THAT(plan.outcomes[0].problems[0],
              HasSubstr("spec.images.registries[0].fallbackToSource: false needs the runtime's configuration"));
  EXPECT_THAT(plan.groups[0].views, IsEmpty());
  EXPECT_EQ(plan.groups[1].views.size(), 1U);
}

TEST(ClusterNotices, name_what_is_set_and_not_in_force_yet_in_the_policy_and_in_its_overlays) {
  const auto plan = cluster_plan(
      policy("name: a",
             "go: {upstreams: [{url: \"https://a\", weight: 3, rollout: {percent: 5}}], allowDirect: true}, "
             "images: {registries: [{name: docker.io, upstreams: [{url: \"https://r\"}], fallbackToSource: false}]}, "
             "namespaceSelector: {matchLabels: {a: b}}, injection: {mode: OptIn}, nodeConfig: {mode: Report, maxUnavailable: 1}, "
             "prefetch: {images: [docker.io/library/x]}, peers: {replicas: 2}, storage: {onDelete: Delete}, "
             "profiles: {dev: {prefetch: {goModules: [example.com/x]}}}"),
      {});
  EXPECT_THAT(notice_lines(plan.outcomes[0]), ElementsAre("spec.prefetch.images", "spec.peers.replicas", "spec.go.upstreams[0].rollout",
                                                          "spec.profiles.dev.prefetch.goModules"));
  EXPECT_EQ(plan.outcomes[0].notices[1].to_string(),
            "p.yaml:4: spec.peers.replicas: accepted, but not in force yet: each object has one owner among the agents");
}

TEST(ClusterNotices, a_policy_that_asks_for_nothing_that_is_missing_has_none) {
  const auto plan = cluster_plan(
      policy("name: a",
             "nodeSelector: {matchLabels: {a: b}}, go: {upstreams: [{url: \"https://a\", weight: 2}], allowDirect: false}, "
             "injection: {mode: Off}, nodeConfig: {mode: Off, runtimes: []}, prefetch: {goModules: []}, peers: {replicas: 1}, "
             "storage: {hostPath: /x, onDelete: Keep}, agent: {hostNetwork: true}, region: {default: cn}, regions: {cn: {retries: 1}}") +
          policy("name: b", std::string(kGo) + ", nodeConfig: {maxUnavailable: 2}"),
      {});
  EXPECT_THAT(notice_lines(plan.outcomes[0]), IsEmpty());
  EXPECT_THAT(notice_lines(plan.outcomes[1]), IsEmpty());
}

TEST(ClusterNotices, a_policy_that_serves_nothing_says_so_unless_an_overlay_does) {
  const auto plan = cluster_plan(policy("name: a", "") + policy("name: b", std::string("regions: {cn: {") + kGo + "}}"), {});
  EXPECT_THAT(notice_lines(plan.outcomes[0]), ElementsAre("spec"));
  EXPECT_THAT(notice_lines(plan.outcomes[1]), IsEmpty());
}

TEST(Names, are_the_policys_own_where_that_is_a_label_and_free) {
  EXPECT_EQ(short_name("default"), "default");
  EXPECT_EQ(short_name("team-a"), "team-a");
  for (const std::string name : {"node", "operator", "x-peers", "with.dot", "a23456789012345678901234567890123456789012"}) {
    const auto given = short_name(name);
    EXPECT_NE(given, name);
    EXPECT_LE(given.size(), 40U);
    EXPECT_THAT(given, testing::MatchesRegex("[a-z0-9][-a-z0-9]*-[0-9a-f]{8}"));
  }
  EXPECT_NE(short_name("with.dot"), short_name("with-dot"));
}

TEST(Names, that_could_mean_two_groups_get_a_hash_and_a_policys_own_stays) {
  const auto policies = policies_of(policy("name: a", "regions: {b-c: {}, d: {}, E: {}, p: {}}, profiles: {p: {}}") +
                                    policy("name: a-b", "regions: {c: {}}") + policy("name: a-d", ""));
  const GroupNames names(policies);
  EXPECT_THAT(names.name("a", "b-c", ""), testing::MatchesRegex("a-b-c-[0-9a-f]{8}"));
  EXPECT_THAT(names.name("a-b", "c", ""), testing::MatchesRegex("a-b-c-[0-9a-f]{8}"));
  EXPECT_NE(names.name("a", "b-c", ""), names.name("a-b", "c", ""));
  EXPECT_EQ(names.name("a-d", "", ""), "a-d");
  EXPECT_THAT(names.name("a", "d", ""), testing::MatchesRegex("a-d-[0-9a-f]{8}"));
  EXPECT_THAT(names.name("a", "E", ""), testing::MatchesRegex("a-e-[0-9a-f]{8}"));
  EXPECT_NE(names.name("a", "p", ""), names.name("a", "", "p"));
  EXPECT_EQ(names.name("a", "d", "p"), "a-d-p");
}

}  // namespace
}  // namespace cistern::plan
