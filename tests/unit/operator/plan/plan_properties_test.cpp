// What holds of every plan, tried with random policies and clusters; and how long a large one takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <random>
#include <set>

#include "operator/model/describe.hpp"
#include "operator/model/merge.hpp"
#include "operator/plan/cluster.hpp"
#include "operator/plan/machine.hpp"
#include "tests/unit/operator/plan/policies.hpp"

namespace cistern::plan {
namespace {

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); }
bool one_in(Random& random, std::size_t n) { return below(random, n) == 0; }

const char* pick(Random& random, std::initializer_list<const char*> values) { return *(values.begin() + below(random, values.size())); }

// Fields that neither need nor exclude others.
std::string random_plain_settings(Random& random, bool region) {
  std::string text;
  if (one_in(random, 2)) text += fmt::format("retries: {}, ", below(random, 10));
  if (one_in(random, 4)) text += fmt::format("selection: {}, ", pick(random, {"Ordered", "Fastest"}));
  if (one_in(random, 4))
    text += fmt::format("timeouts: {{{}: {}s}}, ", pick(random, {"connect", "firstByte", "idle"}), 1 + below(random, 9));
  if (one_in(random, 4)) text += fmt::format("breaker: {{failures: {}, openFor: 9s}}, ", 1 + below(random, 9));
  if (one_in(random, 4)) text += fmt::format("rateLimit: {{requestsPerSecond: {}}}, ", below(random, 99));
  if (one_in(random, 4))
    text += fmt::format("storage: {{size: {}Gi, onDelete: {}}}, ", 1 + below(random, 9), pick(random, {"Delete", "Keep"}));
  if (one_in(random, 5)) text += fmt::format("prefetch: {{images: [\"a.example/{}\"]}}, ", below(random, 9));
  if (one_in(random, 5)) text += fmt::format("peers: {{mode: {}}}, ", pick(random, {"Auto", "Off"}));
  if (!region && one_in(random, 4))
    text += fmt::format("injection: {{mode: {}, env: {{A: \"{}\"}}}}, ", pick(random, {"OptIn", "Off"}), below(random, 9));
  return text;
}

std::string random_settings(Random& random, bool region) {
  std::string text = random_plain_settings(random, region);
  if (one_in(random, 2)) {
    text +=
        fmt::format("go: {{upstreams: [{{url: \"https://{}.example\", weight: {}}}]", pick(random, {"a", "b", "c"}), 1 + below(random, 5));
    if (!region && one_in(random, 2)) text += ", deny: [x.example]";
    if (!region && one_in(random, 3)) text += ", private: [\"*.corp.example\"], sumDB: {mode: Proxy}";
    text += one_in(random, 3) ? ", freshness: {list: 9s}}, " : "}, ";
  }
  if (one_in(random, 2)) {
    text += fmt::format("images: {{registries: [{{name: {}, upstreams: [{{url: \"https://r.example\"}}], tagTTL: {}s}}]}}, ",
                        pick(random, {"docker.io", "quay.io"}), below(random, 100));
  }
  if (one_in(random, 3)) text += fmt::format("agent: {{hostNetwork: {}}}, ", pick(random, {"true", "false"}));
  if (one_in(random, 3)) text += fmt::format("nodeConfig: {{mode: {}}}, ", pick(random, {"Apply", "Report"}));
  return text;
}

std::string random_overlays(Random& random, const char* kind, std::initializer_list<const char*> names) {
  std::string text = fmt::format("{}: {{", kind);
  for (const auto* name : names) {
    if (one_in(random, 2)) text += fmt::format("{}: {{{}}}, ", name, random_settings(random, kind == std::string("regions")));
  }
  return text + "}, ";
}

std::string random_policy(Random& random, std::size_t number) {
  std::string spec = fmt::format("priority: {}, ", below(random, 3));
  if (one_in(random, 2)) spec += fmt::format("nodeSelector: {{matchLabels: {{pool: {}}}}}, ", pick(random, {"a", "b"}));
  if (one_in(random, 3)) {
    spec +=
        fmt::format("nodeSelector: {{matchExpressions: [{{key: disk, operator: {}, values: [ssd]}}]}}, ", pick(random, {"In", "NotIn"}));
  }
  if (spec.find("nodeSelector") != spec.rfind("nodeSelector")) spec = spec.substr(0, spec.rfind("nodeSelector"));
  if (one_in(random, 2)) spec += "namespaceSelector: {matchLabels: {team: a}}, ";
  spec += random_settings(random, false);
  if (one_in(random, 2)) spec += fmt::format("region: {{default: {}}}, ", pick(random, {"cn", "eu", "moon"}));
  spec += random_overlays(random, "regions", {"cn", "eu", "us-east"});
  spec += random_overlays(random, "profiles", {"dev", "prod"});
  const auto age = one_in(random, 2) ? fmt::format(", creationTimestamp: \"202{}-01-01T00:00:00Z\"", below(random, 3)) : "";
  return test::policy(fmt::format("name: {}{}{}", pick(random, {"p-", "q", "eu-"}), number, age), spec);
}

struct Cluster {
  std::vector<model::Policy> policies;
  std::vector<NodeFacts> nodes;
  std::vector<NamespaceFacts> namespaces;
};

std::map<std::string, std::string> random_labels(Random& random) {
  std::map<std::string, std::string> labels;
  if (one_in(random, 2)) labels["pool"] = pick(random, {"a", "b", "c"});
  if (one_in(random, 2)) labels["disk"] = pick(random, {"ssd", "hdd"});
  if (one_in(random, 2)) labels["team"] = pick(random, {"a", "b"});
  if (one_in(random, 2)) labels["topology.kubernetes.io/region"] = pick(random, {"cn", "eu", "us-east", "mars"});
  if (one_in(random, 2)) labels["cistern.dev/profile"] = pick(random, {"dev", "prod", "odd"});
  return labels;
}

Cluster random_cluster(Random& random) {
  Cluster cluster;
  std::string text;
  for (std::size_t i = 0; i < 1 + below(random, 6); ++i) text += random_policy(random, i);
  cluster.policies = test::policies_of(text);
  for (std::size_t i = 0; i < below(random, 40); ++i) cluster.nodes.push_back({fmt::format("n{}", i), random_labels(random)});
  for (std::size_t i = 0; i < below(random, 10); ++i) cluster.namespaces.push_back({fmt::format("ns{}", i), random_labels(random)});
  return cluster;
}

ClusterPlan plan_of_cluster(const Cluster& cluster) {
  return plan_cluster(cluster.policies, cluster.nodes, cluster.namespaces, "cistern-system");
}

// Everything that a plan says, as text.
std::string told(const ClusterPlan& plan) {
  std::string text;
  for (const auto& group : plan.groups) {
    text += fmt::format("group {} = {}/{}/{}: {}\n{}\n", group.name, group.policy, group.region, group.profile, fmt::join(group.nodes, " "),
                        yaml::write(group.effective.settings, yaml::Write::kAll).dump());
    text += yaml::write(group.go, yaml::Write::kAll).dump() + "\n";
    for (const auto& view : group.views) text += view.profile + " " + yaml::write(view.go, yaml::Write::kAll).dump() + "\n";
  }
  for (const auto& [node, group] : plan.group_of_node) text += fmt::format("{} in {}\n", node, group);
  for (const auto& [ns, policy] : plan.policy_of_namespace) text += fmt::format("{} of {}\n", ns, policy);
  for (const auto& outcome : plan.outcomes) {
    text += fmt::format("policy {} {} {}\n{}\n", outcome.policy, outcome.nodes, outcome.namespaces, fmt::join(outcome.problems, "\n"));
    for (const auto& [winner, lost] : outcome.lost_to) text += fmt::format("lost to {} {} {}\n", winner, lost.nodes, lost.namespaces);
    for (const auto& unknown : outcome.unknown)
      text += fmt::format("{} {} {} {}\n", unknown.kind, unknown.name, unknown.nodes, unknown.namespaces);
    for (const auto& notice : outcome.notices) text += notice.to_string() + "\n";
  }
  return text;
}

TEST(PlanProperties, the_order_of_the_input_does_not_matter) {
  Random random(1);
  for (int round = 0; round < 100; ++round) {
    auto cluster = random_cluster(random);
    const auto expected = told(plan_of_cluster(cluster));
    EXPECT_EQ(told(plan_of_cluster(cluster)), expected);
    std::shuffle(cluster.policies.begin(), cluster.policies.end(), random);
    std::shuffle(cluster.nodes.begin(), cluster.nodes.end(), random);
    std::shuffle(cluster.namespaces.begin(), cluster.namespaces.end(), random);
    ASSERT_EQ(told(plan_of_cluster(cluster)), expected) << "round " << round;
  }
}

TEST(PlanProperties, every_node_that_is_selected_is_owned_once_and_every_group_is_of_one_policy) {
  Random random(2);
  for (int round = 0; round < 100; ++round) {
    const auto cluster = random_cluster(random);
    const auto plan = plan_of_cluster(cluster);
    std::size_t selected = 0;
    std::size_t selections = 0;
    for (const auto& node : cluster.nodes) {
      const auto by = std::count_if(cluster.policies.begin(), cluster.policies.end(),
                                    [&](const auto& policy) { return selects(policy.spec.node_selector, node.labels); });
      selected += by > 0 ? 1 : 0;
      selections += static_cast<std::size_t>(by);
    }
    std::size_t owned = 0;
    std::size_t lost = 0;
    bool problems = false;
    for (const auto& outcome : plan.outcomes) {
      owned += outcome.nodes;
      problems = problems || !outcome.problems.empty();
      for (const auto& [winner, what] : outcome.lost_to) lost += what.nodes;
    }
    EXPECT_EQ(owned, selected);
    EXPECT_EQ(owned + lost, selections);
    std::size_t grouped = 0;
    std::set<std::string> names;
    for (const auto& group : plan.groups) {
      grouped += group.nodes.size();
      EXPECT_FALSE(group.nodes.empty());
      EXPECT_TRUE(names.insert(group.name).second) << group.name;
      EXPECT_THAT(group.name, testing::MatchesRegex("[a-z0-9][-a-z0-9]*[a-z0-9]|[a-z0-9]"));
      EXPECT_LE(group.name.size(), 40U);
    }
    EXPECT_EQ(grouped, plan.group_of_node.size());
    if (!problems) {
      EXPECT_EQ(grouped, owned);
    }
  }
}

// Everything that the plan of a machine says, as text.
std::string told(const Result<MachinePlan>& plan) {
  if (!plan) return plan.error().message;
  std::string text =
      fmt::format("{}/{}/{}\n{}\n{}\n", plan->policy, plan->place.region, plan->place.profile,
                  yaml::write(plan->effective.settings, yaml::Write::kAll).dump(), yaml::write(plan->go, yaml::Write::kAll).dump());
  for (const auto& view : plan->views) text += view.profile + " " + yaml::write(view.go, yaml::Write::kAll).dump() + "\n";
  for (const auto& notice : plan->notices) text += notice.to_string() + "\n";
  std::vector<std::string> overridden;
  for (const auto& lost : plan->overridden) overridden.push_back(lost.to_string());
  std::sort(overridden.begin(), overridden.end());
  return text + fmt::format("{}", fmt::join(overridden, "\n"));
}

TEST(PlanProperties, a_machines_plan_does_not_depend_on_the_order_of_the_policies) {
  Random random(5);
  int planned = 0;
  for (int round = 0; round < 100; ++round) {
    auto cluster = random_cluster(random);
    const MachinePlace place{pick(random, {"", "cn", "eu"}), pick(random, {"", "dev", "prod"})};
    const auto plan = plan_machine(cluster.policies, place);
    planned += plan ? 1 : 0;
    EXPECT_EQ(told(plan_machine(cluster.policies, place)), told(plan));
    std::shuffle(cluster.policies.begin(), cluster.policies.end(), random);
    ASSERT_EQ(told(plan_machine(cluster.policies, place)), told(plan)) << "round " << round;
  }
  EXPECT_GT(planned, 30) << "the policies that are tried define too little of what is asked for";
}

// A machine without cluster is as a node with the same labels.
TEST(PlanProperties, a_machine_has_the_settings_of_a_node_in_the_same_place) {
  Random random(6);
  int compared = 0;
  for (int round = 0; round < 200; ++round) {
    const auto policies = test::policies_of(random_policy(random, 0));
    const MachinePlace place{pick(random, {"cn", "eu", "us-east"}), pick(random, {"dev", "prod"})};
    const auto machine = plan_machine(policies, place);
    NodeFacts node{"n", {{"topology.kubernetes.io/region", place.region}, {"cistern.dev/profile", place.profile}, {"pool", "a"}}};
    const auto cluster = plan_cluster(policies, {node}, {}, "x");
    if (!machine || cluster.groups.empty()) continue;
    ++compared;
    EXPECT_EQ(machine->effective.settings, cluster.groups[0].effective.settings) << "round " << round;
    EXPECT_EQ(machine->go, cluster.groups[0].go);
    ASSERT_EQ(machine->views.size(), cluster.groups[0].views.size());
    for (std::size_t i = 0; i < machine->views.size(); ++i) EXPECT_EQ(machine->views[i].go, cluster.groups[0].views[i].go);
  }
  EXPECT_GT(compared, 10);
}

yaml::Node parsed(const std::string& flow) {
  auto documents = yaml::parse("{" + flow + "}", "p.yaml");
  EXPECT_TRUE(documents) << documents.error().message;
  return std::move(documents->front());
}

TEST(PlanProperties, merging_nothing_changes_nothing_and_merging_twice_is_merging_once) {
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    const auto spec = parsed(random_settings(random, false));
    const auto overlay = parsed(random_settings(random, true));
    const auto text = [](const yaml::Node& node) { return yaml::to_json(node).dump(); };
    EXPECT_EQ(text(model::merge(spec, parsed(""))), text(spec));
    EXPECT_EQ(text(model::merge(parsed(""), overlay)), text(overlay));
    const auto merged = model::merge(spec, overlay);
    ASSERT_EQ(text(model::merge(merged, overlay)), text(merged)) << "round " << round;
    // An overlay whose maps are empty, at every level that the policy has written.
    yaml::Node hollow;
    hollow.kind = yaml::Node::Kind::kMap;
    for (const auto& field : spec.children) {
      if (field.kind != yaml::Node::Kind::kMap) continue;
      hollow.children.push_back(field);
      hollow.children.back().children.clear();
    }
    EXPECT_EQ(text(model::merge(spec, hollow)), text(spec));
  }
}

TEST(PlanProperties, an_empty_overlay_changes_nothing_but_the_groups_name) {
  Random random(3);
  for (int round = 0; round < 100; ++round) {
    const std::string spec = random_settings(random, false);
    const auto plain = plan_cluster(test::policies_of(test::policy("name: a", spec)), {{"n", {}}}, {}, "x");
    const auto overlaid =
        plan_cluster(test::policies_of(test::policy(
                         "name: a", spec + "region: {default: r}, regions: {r: {}}, profile: {default: p}, profiles: {p: {}}")),
                     {{"n", {}}}, {}, "x");
    ASSERT_EQ(plain.groups.size(), 1U);
    ASSERT_EQ(overlaid.groups.size(), 1U);
    EXPECT_EQ(overlaid.groups[0].name, "a-r-p");
    EXPECT_EQ(overlaid.groups[0].effective.settings, plain.groups[0].effective.settings) << spec;
    EXPECT_EQ(overlaid.groups[0].go, plain.groups[0].go);
    for (const auto& view : overlaid.groups[0].views) EXPECT_EQ(view.go, plain.groups[0].go);
  }
}

// Each policy has its own pool, four regions and two profiles; some overlap.
Cluster large_cluster() {
  Random random(4);
  Cluster cluster;
  std::string text;
  for (int i = 0; i < 100; ++i) {
    std::string spec = fmt::format("priority: {}, nodeSelector: {{matchExpressions: [{{key: pool, operator: In, values: [p{}, p{}]}}]}}, ",
                                   i % 7, i, (i + 1) % 100);
    spec +=
        "go: {upstreams: [{url: \"https://a.example\"}, {url: \"https://b.example\"}], private: [\"*.corp.example\"]}, "
        "images: {registries: [{name: docker.io, upstreams: [{url: \"https://r.example\"}]}, "
        "{name: quay.io, upstreams: [{url: \"https://q.example\"}]}]}, regions: {";
    for (const auto* region : {"cn", "eu", "us", "ap"}) {
      spec += fmt::format("{0}: {{go: {{upstreams: [{{url: \"https://{0}.example\"}}]}}}}, ", region);
    }
    spec += "}, profiles: {dev: {retries: 1}, prod: {retries: 5, go: {deny: [x.example]}}}";
    text += test::policy(fmt::format("name: policy-{}", i), spec);
  }
  cluster.policies = test::policies_of(text);
  for (int i = 0; i < 5000; ++i) {
    NodeFacts node{fmt::format("node-{}", i), {}};
    // What a cloud's nodes carry.
    for (int k = 0; k < 12; ++k) node.labels[fmt::format("cloud.example/label-{}", k)] = fmt::format("value-{}", i % 50);
    node.labels["pool"] = fmt::format("p{}", i % 100);
    node.labels["topology.kubernetes.io/region"] = pick(random, {"cn", "eu", "us", "ap"});
    if (one_in(random, 2)) node.labels["cistern.dev/profile"] = pick(random, {"dev", "prod"});
    cluster.nodes.push_back(std::move(node));
  }
  for (int i = 0; i < 1000; ++i) cluster.namespaces.push_back({fmt::format("ns-{}", i), random_labels(random)});
  return cluster;
}

TEST(PlanSpeed, of_5000_nodes_and_100_policies_is_within_300_ms) {
  const auto cluster = large_cluster();
  ASSERT_EQ(cluster.policies.size(), 100U);
  double best = 1e9;
  ClusterPlan plan;
  // Processor time, and the best of several: other programs share this machine.
  for (int round = 0; round < 5; ++round) {
    const auto start = std::clock();
    plan = plan_of_cluster(cluster);
    best = std::min(best, 1000.0 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  EXPECT_EQ(plan.group_of_node.size(), 5000U);
  EXPECT_GT(plan.groups.size(), 600U);
  RecordProperty("milliseconds", static_cast<int>(best));
  fmt::print("planned in {:.0f} ms: {} groups\n", best, plan.groups.size());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(NDEBUG)
  EXPECT_LE(best, 300);
#endif
}

}  // namespace
}  // namespace cistern::plan
