#include "operator/admission/decision.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "operator/admission/pod_patch.hpp"

namespace cistern::admission {
namespace {

using model::InjectionMode;

// What a label says; nothing if it is neither of the two words.
enum class Wish { kNone, kYes, kNo };

Wish wish(std::string_view label) {
  if (label == "true") return Wish::kYes;
  return label == "false" ? Wish::kNo : Wish::kNone;
}

std::string why_wish_is_no(const std::string& ns, const Decision& decision, InjectionMode mode, Wish pods, Wish namespaces) {
  const Wish stated = pods != Wish::kNone ? pods : namespaces;
  if (stated == Wish::kNo) {
    return fmt::format("the label {} of {} is \"false\"", kInjectLabel, pods == Wish::kNo ? "the pod" : "namespace " + ns);
  }
  if (mode == InjectionMode::kOff) return fmt::format("injection.mode of policy {} is Off", decision.policy);
  if (mode == InjectionMode::kOptIn && stated == Wish::kNone) {
    return fmt::format("injection.mode of policy {} is OptIn; label the pod or namespace {} with {}=true", decision.policy, ns,
                       kInjectLabel);
  }
  return "";
}

// Whether the Service's name means something to the pod.
bool asks_cluster_dns(const Json& pod) {
  const auto* spec = member(pod, "spec");
  const auto policy = text(spec, "dnsPolicy");
  const auto* host = spec == nullptr ? nullptr : member(*spec, "hostNetwork");
  if (host != nullptr && host->is_boolean() && host->get<bool>()) return policy == "ClusterFirstWithHostNet";
  return policy.empty() || policy == "ClusterFirst" || policy == "ClusterFirstWithHostNet";
}

// Empty where the pod is to be injected by `told`.
std::string why_not(const Rules& rules, const std::string& ns, const NamespaceRules& owned, const Told& told, const Json& pod,
                    const Decision& decision) {
  const auto* metadata = member(pod, "metadata");
  const auto label = owned.labels.find(kInjectLabel);
  const auto pods = wish(text(metadata == nullptr ? nullptr : member(*metadata, "labels"), kInjectLabel));
  const auto namespaces = wish(label == owned.labels.end() ? "" : label->second);
  if (auto why = why_wish_is_no(ns, decision, told.mode, pods, namespaces); !why.empty()) return why;
  if (told.variables.empty()) {
    return fmt::format("policy {} has nothing to tell pods: {}, and there is no injection.env", decision.policy, told.no_go);
  }
  if (!rules.ready.contains(decision.policy)) {
    return fmt::format("no agent of policy {} is ready behind its Service", decision.policy);
  }
  if (pods != Wish::kYes && !asks_cluster_dns(pod)) {
    return fmt::format("the pod does not use the cluster's DNS, so it would not find the agents; set dnsPolicy to {}, or label it {}=true",
                       "ClusterFirst or ClusterFirstWithHostNet", kInjectLabel);
  }
  return "";
}

}  // namespace

Decision decide(const Rules& rules, const std::string& ns, const Json& pod) {
  Decision decision;
  if (plan::is_never_injected(ns, rules.own_namespace)) {
    decision.why_not = fmt::format("pods of namespace {} are never changed", ns);
    return decision;
  }
  const auto* metadata = member(pod, "metadata");
  const auto* annotations = metadata == nullptr ? nullptr : member(*metadata, "annotations");
  if (annotations != nullptr && member(*annotations, "kubernetes.io/config.mirror") != nullptr) {
    decision.why_not = "it is the image of a static pod; what runs is the file on its node: set the variables there";
    return decision;
  }
  const auto owned = rules.namespaces.find(ns);
  if (owned == rules.namespaces.end()) {
    decision.why_not = fmt::format("namespace {} is not known yet: it was created a moment ago, or does not exist", ns);
    return decision;
  }
  const auto policy = rules.policies.find(owned->second.policy);
  if (policy == rules.policies.end()) {
    decision.why_not = fmt::format("no policy's namespaceSelector selects namespace {}", ns);
    return decision;
  }
  decision.policy = policy->first;
  const auto& policy_rules = policy->second;
  auto chosen = policy_rules.choose(text(annotations, kProfileAnnotation), owned->second.labels);
  decision.profile = chosen.profile;
  if (!chosen.unknown.empty()) {
    decision.notes.push_back(fmt::format("policy {} defines no profile {}; it applies without a profile", decision.policy, chosen.unknown));
  }
  if (!chosen.told->no_go.empty()) decision.notes.push_back(fmt::format("Go's variables are left out: {}", chosen.told->no_go));
  decision.why_not = why_not(rules, ns, owned->second, *chosen.told, pod, decision);
  if (!decision.why_not.empty()) return decision;
  // A namespace that has opted out has no ConfigMap of ours.
  const auto map = owned->second.opted_out() ? std::string()
                                             : environment_map_name(chosen.profile, policy_rules.choose("", owned->second.labels).profile);
  patch_pod(pod, *chosen.told, map, decision);
  if (decision.patch.empty()) decision.why_not = "every container has these variables, by itself or from us";
  return decision;
}

}  // namespace cistern::admission
