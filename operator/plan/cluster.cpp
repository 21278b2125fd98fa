#include "operator/plan/cluster.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <sstream>
#include <tuple>

#include "operator/plan/cluster_notices.hpp"
#include "operator/plan/names.hpp"
#include "operator/plan/overlay.hpp"

namespace cistern::plan {
namespace {

using Labels = std::map<std::string, std::string>;

constexpr std::array<std::string_view, 3> kSystemNamespaces = {"kube-system", "kube-public", "kube-node-lease"};

// One policy at work. Combinations of its overlays are made once, as many groups share them.
class PolicyPlanner {
 public:
  PolicyPlanner(const model::Policy& policy, const GroupNames& names) : policy_(policy), names_(names), noticer_(outcome_.notices, "yet") {
    outcome_.policy = policy.metadata.name;
    notice_cluster_fields(policy, noticer_);
  }

  PolicyPlanner(const PolicyPlanner&) = delete;
  PolicyPlanner& operator=(const PolicyPlanner&) = delete;

  const model::Policy& policy() const { return policy_; }

  void own_node(const NodeFacts& node) {
    ++outcome_.nodes;
    const auto& spec = policy_.spec;
    auto region = defined(spec.region, spec.regions, node.labels, "region", &UnknownName::nodes);
    auto profile = defined(spec.profile, spec.profiles, node.labels, "profile", &UnknownName::nodes);
    nodes_[{std::move(region), std::move(profile)}].push_back(node.name);
  }

  void own_namespace(const NamespaceFacts& ns) {
    ++outcome_.namespaces;
    defined(policy_.spec.profile, policy_.spec.profiles, ns.labels, "profile", &UnknownName::namespaces);
  }

  void lose(const std::string& winner, std::size_t Lost::*what) { ++(outcome_.lost_to[winner].*what); }

  // Once all nodes are known.
  void add_groups(std::vector<Group>& groups) {
    for (auto& [overlays, nodes] : nodes_) {
      const auto& [region, profile] = overlays;
      const auto& combined = combine(region, profile);
      if (!combined) continue;
      Group group{names_.name(outcome_.policy, region, profile), outcome_.policy, region, profile, std::move(nodes), *combined, {}, {}};
      std::sort(group.nodes.begin(), group.nodes.end());
      group.go = combine(region, "")->settings.go;
      group.views = views(region, group.go);
      groups.push_back(std::move(group));
    }
  }

  PolicyOutcome outcome() {
    for (auto& [name, unknown] : unknown_) outcome_.unknown.push_back(std::move(unknown));
    return std::move(outcome_);
  }

 private:
  // The name that applies: the label's, else the default; empty if the policy does not define it, which is noted.
  std::string defined(const model::Choice& choice, const std::map<std::string, yaml::Node>& overlays, const Labels& labels,
                      const std::string& kind, std::size_t UnknownName::*counter) {
    const auto label = labels.find(choice.label_key);
    const bool labelled = label != labels.end() && !label->second.empty();
    const std::string& name = labelled ? label->second : choice.fallback;
    if (name.empty() || overlays.contains(name)) return name;
    // Clouds label all nodes with their region; that says nothing where the policy knows no regions.
    if (labelled && kind == "region" && overlays.empty()) return "";
    auto& unknown = unknown_[{kind, name}];
    unknown.kind = kind;
    unknown.name = name;
    ++(unknown.*counter);
    return "";
  }

  // Nothing if the overlays do not fit together, which is told once.
  const std::optional<model::Effective>& combine(const std::string& region, const std::string& profile) {
    const auto [at, fresh] = combined_.try_emplace({region, profile});
    if (!fresh) return at->second;
    yaml::Problems problems;
    auto effective = with_overlays(policy_, region, profile, problems);
    if (problems.empty()) {
      at->second = std::move(effective);
      return at->second;
    }
    std::istringstream lines(problems.to_error().message);
    for (std::string line; std::getline(lines, line);) {
      outcome_.problems.push_back(fmt::format("with region {} and profile {}: {}", region, profile, line));
    }
    return at->second;
  }

  const std::vector<View>& views(const std::string& region, const model::Go& base) {
    const auto [at, fresh] = views_.try_emplace(region);
    if (!fresh) return at->second;
    for (const auto& [profile, overlay] : policy_.spec.profiles) {
      const auto& combined = combine(region, profile);
      if (combined) noticer_.view(policy_, profile, base, combined->settings.go, at->second);
    }
    return at->second;
  }

  const model::Policy& policy_;
  const GroupNames& names_;
  PolicyOutcome outcome_;
  Noticer noticer_;
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> nodes_;  // by region and profile
  std::map<std::pair<std::string, std::string>, UnknownName> unknown_;             // by kind and name
  std::map<std::pair<std::string, std::string>, std::optional<model::Effective>> combined_;
  std::map<std::string, std::vector<View>> views_;  // by region
};

// The first planner whose policy selects these labels owns them, the others that do lose. Null if none does.
PolicyPlanner* find_owner(std::deque<PolicyPlanner>& planners, model::LabelSelector model::Spec::*selector, const Labels& labels,
                          std::size_t Lost::*what) {
  PolicyPlanner* owner = nullptr;
  for (auto& planner : planners) {
    if (!selects(planner.policy().spec.*selector, labels)) continue;
    if (owner == nullptr) {
      owner = &planner;
    } else {
      planner.lose(owner->policy().metadata.name, what);
    }
  }
  return owner;
}

}  // namespace

bool is_never_injected(std::string_view ns, std::string_view own_namespace) {
  return ns == own_namespace || std::find(kSystemNamespaces.begin(), kSystemNamespaces.end(), ns) != kSystemNamespaces.end();
}

ClusterPlan plan_cluster(const std::vector<model::Policy>& policies, const std::vector<NodeFacts>& nodes,
                         const std::vector<NamespaceFacts>& namespaces, const std::string& own_namespace) {
  std::vector<const model::Policy*> ranked;
  for (const auto& policy : policies) ranked.push_back(&policy);
  std::sort(ranked.begin(), ranked.end(), [](const auto* a, const auto* b) { return wins(*a, *b); });
  const GroupNames names(policies);
  std::deque<PolicyPlanner> planners;
  for (const auto* policy : ranked) planners.emplace_back(*policy, names);

  for (const auto& node : nodes) {
    if (auto* owner = find_owner(planners, &model::Spec::node_selector, node.labels, &Lost::nodes)) owner->own_node(node);
  }
  ClusterPlan plan;
  for (const auto& ns : namespaces) {
    if (is_never_injected(ns.name, own_namespace)) continue;
    auto* owner = find_owner(planners, &model::Spec::namespace_selector, ns.labels, &Lost::namespaces);
    if (owner == nullptr) continue;
    owner->own_namespace(ns);
    plan.policy_of_namespace[ns.name] = owner->policy().metadata.name;
  }
  for (auto& planner : planners) {
    planner.add_groups(plan.groups);
    plan.outcomes.push_back(planner.outcome());
  }
  std::sort(plan.groups.begin(), plan.groups.end(), [](const Group& a, const Group& b) { return a.name < b.name; });
  std::sort(plan.outcomes.begin(), plan.outcomes.end(), [](const auto& a, const auto& b) { return a.policy < b.policy; });
  for (const auto& group : plan.groups) {
    for (const auto& node : group.nodes) plan.group_of_node[node] = group.name;
  }
  return plan;
}

}  // namespace cistern::plan
