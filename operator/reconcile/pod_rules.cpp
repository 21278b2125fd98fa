#include "operator/reconcile/pod_rules.hpp"

#include "operator/plan/pods.hpp"

namespace cistern::reconcile {
namespace {

const admission::PolicyRules* rules_of(const admission::Rules& rules, const std::string& policy) {
  const auto found = rules.policies.find(policy);
  return found == rules.policies.end() ? nullptr : &found->second;
}

bool same_rules(const admission::PolicyRules* a, const admission::PolicyRules* b) {
  return a == nullptr || b == nullptr ? a == b : *a == *b;
}

}  // namespace

PolicyNames ready_policies(const std::vector<Object>& endpoint_slices) {
  PolicyNames ready;
  for (const auto& slice : endpoint_slices) {
    if (auto policy = admission::ready_policy(*slice); !policy.empty()) ready.insert(std::move(policy));
  }
  return ready;
}

admission::Rules make_pod_rules(const Desired& desired, const std::vector<Object>& namespaces, PolicyNames ready,
                                const std::string& own_namespace) {
  return admission::make_rules(own_namespace, plan::plan_pods(policies_in_force(desired.policies), desired.plan.groups),
                               namespace_facts(namespaces), desired.plan, std::move(ready));
}

std::set<std::string> changed_namespaces(const admission::Rules& before, const admission::Rules& after) {
  std::set<std::string> policies;  // that tell something else now
  for (const auto* rules : {&before, &after}) {
    for (const auto& [policy, told] : rules->policies) {
      if (!same_rules(rules_of(before, policy), rules_of(after, policy))) policies.insert(policy);
    }
  }
  std::set<std::string> changed;
  for (const auto& [name, ns] : after.namespaces) {
    const auto known = before.namespaces.find(name);
    if (known == before.namespaces.end() || known->second != ns || policies.contains(ns.policy)) changed.insert(name);
  }
  for (const auto& [name, ns] : before.namespaces) {
    if (!after.namespaces.contains(name)) changed.insert(name);
  }
  return changed;
}

}  // namespace cistern::reconcile
