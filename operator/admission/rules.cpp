#include "operator/admission/rules.hpp"

#include <algorithm>

#include "operator/plan/names.hpp"
#include "operator/render/environment.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::admission {
namespace {

Told told_by(const plan::PodSettings& settings, const std::string& url, const std::string& profile) {
  Told told{settings.injection.mode, settings.injection.overwrite, {}, {}, settings.no_go};
  for (const auto& [name, value] : settings.injection.env) told.variables[name] = value;
  for (auto& [name, value] : render::go_environment(settings.go, url, profile)) {
    if (told.variables.emplace(name, std::move(value)).second) told.go.insert(name);
  }
  return told;
}

bool is_ready(const Json& endpoint) {
  const auto conditions = endpoint.find("conditions");
  if (conditions == endpoint.end() || !conditions->is_object()) return true;
  const auto ready = conditions->find("ready");
  // Not said means ready, as the API has it.
  return ready == conditions->end() || !ready->is_boolean() || ready->get<bool>();
}

std::string label_of(const Json& object, std::string_view key) {
  const auto labels = object.find("metadata") == object.end() ? Json() : object["metadata"].value("labels", Json());
  return labels.is_object() ? labels.value(std::string(key), "") : "";
}

}  // namespace

PolicyRules::Chosen PolicyRules::choose(std::string_view pod_annotation, const Labels& namespace_labels) const {
  std::string_view name = pod_annotation;
  if (name.empty()) {
    const auto label = namespace_labels.find(profile.label_key);
    if (label != namespace_labels.end()) name = label->second;
  }
  if (name.empty()) name = profile.fallback;
  if (name.empty()) return {&base, "", ""};
  const auto found = profiles.find(name);
  if (found == profiles.end()) return {&base, "", std::string(name)};
  return {&found->second, found->first, ""};
}

bool NamespaceRules::opted_out() const {
  const auto label = labels.find(kInjectLabel);
  return label != labels.end() && label->second == "false";
}

Rules make_rules(const std::string& own_namespace, const std::vector<plan::PodRules>& policies,
                 const std::vector<plan::NamespaceFacts>& namespaces, const plan::ClusterPlan& plan,
                 std::set<std::string, std::less<>> ready) {
  Rules rules;
  rules.own_namespace = own_namespace;
  rules.ready = std::move(ready);
  for (const auto& policy : policies) {
    const auto url = render::service_url(policy.policy, own_namespace);
    auto& made = rules.policies[policy.policy];
    made.policy = policy.policy;
    made.profile = policy.profile;
    made.base = told_by(policy.base, url, "");
    for (const auto& [profile, settings] : policy.profiles) made.profiles[profile] = told_by(settings, url, profile);
  }
  for (const auto& ns : namespaces) {
    auto& made = rules.namespaces[ns.name];
    made.labels.insert(ns.labels.begin(), ns.labels.end());
    const auto owner = plan.policy_of_namespace.find(ns.name);
    if (owner != plan.policy_of_namespace.end()) made.policy = owner->second;
  }
  return rules;
}

std::string ready_policy(const Json& endpoint_slice) {
  auto policy = label_of(endpoint_slice, render::kPolicyOfObject);
  if (policy.empty() || label_of(endpoint_slice, "kubernetes.io/service-name") != "cistern-" + plan::short_name(policy)) return "";
  const auto endpoints = endpoint_slice.value("endpoints", Json());
  return endpoints.is_array() && std::ranges::any_of(endpoints, is_ready) ? policy : "";
}

std::string environment_map_name(std::string_view profile, std::string_view namespace_profile) {
  std::string name(kEnvironmentMap);
  if (profile == namespace_profile) return name;
  // A profile's name is a DNS label, so none of them makes the last one.
  return profile.empty() ? name + ".none" : name + "-" + std::string(profile);
}

std::map<std::string, Variables> environment_maps(const Rules& rules, const std::string& ns) {
  std::map<std::string, Variables> maps;
  const auto found = rules.namespaces.find(ns);
  if (found == rules.namespaces.end() || found->second.opted_out() || plan::is_never_injected(ns, rules.own_namespace)) return maps;
  const auto policy = rules.policies.find(found->second.policy);
  if (policy == rules.policies.end()) return maps;
  const auto own = policy->second.choose("", found->second.labels).profile;
  const auto add = [&](const std::string& profile, const Told& told) {
    // With `overwrite` variables are put into env, which envFrom does not reach.
    if (told.mode == model::InjectionMode::kOff || told.overwrite || told.variables.empty()) return;
    maps[environment_map_name(profile, own)] = told.variables;
  };
  add("", policy->second.base);
  for (const auto& [profile, told] : policy->second.profiles) add(profile, told);
  return maps;
}

}  // namespace cistern::admission
