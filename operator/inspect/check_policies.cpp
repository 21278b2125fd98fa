// What is amiss with policies themselves.
#include <algorithm>
#include <set>

#include "operator/inspect/doctor.hpp"
#include "operator/node/config.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::inspect {
namespace {

using reconcile::counted;

std::string describe(const std::string& policy) { return "kubectl describe mirrorpolicy " + policy; }

// Which status of a condition is bad, and how bad.
struct Bad {
  const char* type;
  const char* status;
  Level level;
};
constexpr Bad kBad[] = {{"Accepted", "False", Level::kProblem}, {"Stalled", "True", Level::kProblem},
                        {"Ready", "False", Level::kProblem},    {"Ready", "Unknown", Level::kWarning},
                        {"Degraded", "True", Level::kWarning},  {"Overridden", "True", Level::kWarning}};

void check_status(const std::string& name, const reconcile::PolicyEntry& entry, Lines& lines) {
  const std::string check = "policy/" + name;
  if (entry.deleting) {
    const Json& ready = condition(*entry.object, "Ready");
    lines.push_back({Level::kWarning, check, "it is being deleted: " + text(ready, {"message"}), describe(name)});
    return;
  }
  const auto generation = number(*entry.object, {"metadata", "generation"});
  if (condition(*entry.object, "Ready").is_null()) {
    lines.push_back({Level::kProblem, check, "the operator has not looked at it", "see operator and leader above"});
    return;
  }
  if (number(*entry.object, {"status", "observedGeneration"}) < generation) {
    lines.push_back(
        {Level::kWarning, check, "the operator has not looked at its last change yet", "wait; else see operator and leader above"});
  }
  auto bad = bad_conditions(*entry.object);
  if (bad.empty()) lines.push_back({Level::kOk, check, reconcile::one_line(text(condition(*entry.object, "Ready"), {"message"})), ""});
  std::ranges::move(bad, std::back_inserter(lines));
}

bool tells_pods_something(const model::Settings& settings) {
  return settings.injection.mode != model::InjectionMode::kOff && (!settings.go.upstreams.empty() || !settings.injection.env.empty());
}

std::string losers(const plan::PolicyOutcome& outcome, std::size_t plan::Lost::*what) {
  std::vector<std::string> winners;
  for (const auto& [winner, lost] : outcome.lost_to) {
    if (lost.*what > 0) winners.push_back(winner);
  }
  return reconcile::few(winners);
}

void check_selectors(const model::Policy& policy, const plan::PolicyOutcome& outcome, const Snapshot& snapshot, Lines& lines) {
  const std::string check = "policy/" + policy.metadata.name;
  const auto say = [&](const char* what, const char* field, const model::LabelSelector& selector, const std::string& winners) {
    if (!winners.empty()) {
      lines.push_back({Level::kWarning, check, fmt::format("it has no {}: another policy owns all that it selects: {}", what, winners),
                       "raise spec.priority, or narrow the other policy's selector"});
    } else {
      lines.push_back({Level::kWarning, check, fmt::format("its {} ({}) selects no {}", field, in_words(selector), what),
                       fmt::format("correct spec.{}, or label what it shall select", field)});
    }
  };
  if (outcome.nodes == 0 && snapshot.nodes.known()) {
    say("node", "nodeSelector", policy.spec.node_selector, losers(outcome, &plan::Lost::nodes));
  }
  if (outcome.namespaces == 0 && snapshot.namespaces.known() && tells_pods_something(policy.spec.settings)) {
    say("namespace", "namespaceSelector", policy.spec.namespace_selector, losers(outcome, &plan::Lost::namespaces));
  }
}

// Registries of a group that are not as strict as its policy wants them: in all of it, or on single nodes.
std::set<std::string> kept_in_fallback(const World& world, const plan::Group& group) {
  std::set<std::string> names;
  const Json* map = world.snapshot().config_maps.find(std::string(node::kConfigMapPrefix) + group.name);
  if (map != nullptr) {
    if (const auto config = node::parse_config(text(*map, {"data", node::kConfigKey}))) {
      for (const auto& registry : config->registries) {
        if (!registry.strict) names.insert(registry.name);
      }
    }
  }
  for (const auto& node : group.nodes) {
    const auto state = world.node_state(node);
    if (state) names.insert(state->kept_in_fallback.begin(), state->kept_in_fallback.end());
  }
  return names;
}

void check_strict(const World& world, Lines& lines) {
  std::map<std::string, std::set<std::string>> strict, kept;  // by policy
  for (const auto& group : world.desired().plan.groups) {
    if (group.effective.settings.node_config.mode != model::NodeConfigMode::kApply) continue;
    const auto fallback = kept_in_fallback(world, group);
    for (const auto& registry : group.effective.settings.registries) {
      if (registry.fallback_to_source) continue;
      (fallback.contains(registry.name) ? kept : strict)[group.policy].insert(registry.name);
    }
  }
  for (const auto& [policy, names] : strict) {
    lines.push_back({Level::kWarning, "policy/" + policy,
                     fmt::format("fallbackToSource is false for {}: while a node's agent does not answer, it pulls no image from there",
                                 fmt::join(names, ", ")),
                     "leave it so only where nothing may go past the cache"});
  }
  for (const auto& [policy, names] : kept) {
    lines.push_back(
        {Level::kWarning, "policy/" + policy,
         fmt::format("fallbackToSource stays true for {}: images that start before the agent come from there", fmt::join(names, ", ")),
         "nothing, or take sandbox, agent and system images from another registry"});
  }
}

// The kind and name, or empty: it is there, or that can not be told.
std::string missing_reference(const Snapshot& snapshot, const std::string& name, bool secret, bool config_map) {
  const auto lacks = [&](const Listed& list) { return list.known() && list.find(name) == nullptr; };
  if (secret && config_map) {
    return lacks(snapshot.secrets) && lacks(snapshot.config_maps) ? fmt::format("Secret or ConfigMap {}", name) : "";
  }
  if (secret && lacks(snapshot.secrets)) return "Secret " + name;
  return config_map && lacks(snapshot.config_maps) ? "ConfigMap " + name : "";
}

}  // namespace

Lines bad_conditions(const Json& policy) {
  Lines lines;
  std::set<std::string> reasons;
  const bool reconciling = text(condition(policy, "Reconciling"), {"status"}) == "True";
  for (const auto& bad : kBad) {
    const Json& found = condition(policy, bad.type);
    const auto reason = text(found, {"reason"});
    if (text(found, {"status"}) != bad.status || !reasons.insert(reason).second) continue;
    // What the operator still works on may need nothing but time.
    const bool passing = std::string_view(bad.type) == "Ready" && reconciling;
    lines.push_back({passing ? Level::kWarning : bad.level, "policy/" + kube::metadata(policy, "name"),
                     fmt::format("{}={} {}: {}", bad.type, bad.status, reason, reconcile::one_line(text(found, {"message"}))), ""});
  }
  return lines;
}

Lines check_policies(const World& world) {
  Lines lines;
  const auto& snapshot = world.snapshot();
  if (!snapshot.policies.known()) return lines;
  if (world.desired().policies.empty()) {
    lines.push_back({Level::kProblem, "policies", "there is no MirrorPolicy", "make one: cistern-operator init, then kubectl apply"});
  }
  for (const auto& [name, entry] : world.desired().policies) {
    check_status(name, entry, lines);
    const auto* outcome = world.desired().outcome(name);
    if (entry.accepted && outcome != nullptr) check_selectors(entry.accepted->policy, *outcome, snapshot, lines);
  }
  check_strict(world, lines);
  return lines;
}

Lines check_references(const World& world) {
  Lines lines;
  bool any = false;
  for (const auto& [name, entry] : world.desired().policies) {
    if (entry.deleting || !entry.accepted) continue;
    const auto& [secrets, maps] = entry.accepted->references;
    std::set<std::string> names(secrets.begin(), secrets.end());
    names.insert(maps.begin(), maps.end());
    for (const auto& reference : names) {
      any = true;
      const auto missing = missing_reference(world.snapshot(), reference, std::ranges::find(secrets, reference) != secrets.end(),
                                             std::ranges::find(maps, reference) != maps.end());
      if (missing.empty()) continue;
      lines.push_back({Level::kProblem, "references",
                       fmt::format("policy {} names the {}, which is not in namespace {}", name, missing, world.ns()),
                       fmt::format("create it in {}; it is taken up by itself", world.ns())});
    }
  }
  if (!any || !lines.empty()) return lines;
  if (!world.snapshot().secrets.known())
    return {
        {Level::kUnknown, "references", "Secrets could not be read; the policies' condition Degraded names those that are missing", ""}};
  return {{Level::kOk, "references", "every Secret and ConfigMap that policies name is there", ""}};
}

}  // namespace cistern::inspect
