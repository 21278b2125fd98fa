#include "operator/plan/pods.hpp"

#include <algorithm>

#include "operator/plan/overlay.hpp"

namespace cistern::plan {
namespace {

using GroupsOfPolicy = std::vector<const Group*>;

// What one group's agents serve under a profile, or without one. Null: nothing.
const model::Go* served_by(const Group& group, const std::string& profile) {
  if (group.go.upstreams.empty()) return nullptr;
  if (profile.empty()) return &group.go;
  const auto view = std::ranges::find(group.views, profile, &View::profile);
  return view == group.views.end() ? nullptr : &view->go;
}

// Fills in what the agents serve; `written` is the policy under that profile, `base` without one.
void look_at_agents(const GroupsOfPolicy& groups, const std::string& profile, const model::Go& base, const model::Go& written,
                    PodSettings& settings) {
  for (const auto* group : groups) {
    const auto* go = served_by(*group, profile);
    if (go == nullptr) {
      settings.go.clear();
      settings.no_go = fmt::format("the agents of group {} serve no Go", group->name);
      if (!profile.empty()) settings.no_go += " under profile " + profile;
      return;
    }
    if (std::ranges::find(settings.go, *go) == settings.go.end()) settings.go.push_back(*go);
  }
  if (!groups.empty()) return;
  if (base.upstreams.empty() || written.upstreams.empty()) {
    settings.no_go = "it names no upstream for Go";
  } else {
    settings.go.push_back(written);
  }
}

PodRules rules_of(const model::Policy& policy, const GroupsOfPolicy& groups) {
  PodRules rules{policy.metadata.name, policy.spec.profile, {}, {}};
  const auto& base = policy.spec.settings;
  rules.base.injection = base.injection;
  look_at_agents(groups, "", base.go, base.go, rules.base);
  for (const auto& [name, overlay] : policy.spec.profiles) {
    yaml::Problems none;  // each overlay by itself was validated with the policy
    const auto settings = with_overlays(policy, "", name, none).settings;
    auto& told = rules.profiles[name];
    told.injection = settings.injection;
    look_at_agents(groups, name, base.go, settings.go, told);
  }
  return rules;
}

}  // namespace

std::vector<PodRules> plan_pods(const std::vector<model::Policy>& policies, const std::vector<Group>& groups) {
  std::map<std::string, GroupsOfPolicy> groups_of;
  for (const auto& group : groups) groups_of[group.policy].push_back(&group);
  std::vector<PodRules> all;
  for (const auto& policy : policies) all.push_back(rules_of(policy, groups_of[policy.metadata.name]));
  std::ranges::sort(all, {}, &PodRules::policy);
  return all;
}

}  // namespace cistern::plan
