#include "operator/plan/machine.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "operator/plan/overlay.hpp"

namespace cistern::plan {
namespace {

using yaml::Node;

struct Inert {
  const char* path;  // below spec
  const char* reason;
};

// Fields that mean something in a cluster only, or later.
constexpr std::array<Inert, 12> kInert = {{
    {"nodeSelector", "there are no nodes to select; the policy applies to this machine"},
    {"namespaceSelector", "there are no namespaces here"},
    {"storage.hostPath", "the cache is in the data folder"},
    {"storage.onDelete", "the cache stays in the data folder until you remove it"},
    {"injection.mode", "there are no pods here; source env.sh from the data folder"},
    {"injection.overwrite", "there are no pods here; what env.sh sets replaces what was set before"},
    {"nodeConfig", "the runtime is not configured; copy certs.d or registries.conf.d from the data folder"},
    {"prefetch", "nothing is fetched ahead of its use yet"},
    {"peers", "there is one agent only"},
    {"agent", "the agent is a process, not a pod"},
    {"region.labelKey", "this machine has no labels; --region says where it is, else region.default does"},
    {"profile.labelKey", "this machine has no labels; --profile says which one it has, else profile.default does"},
}};

// Of the policy as written and of the overlays that apply.
void notice_fields(const Node& node, const std::string& path, Noticer& noticer) {
  for (const auto& field : kInert) noticer.field(node, path, field.path, field.reason);
}

// Overlays of which none was chosen.
void notice_overlays(const model::Policy& policy, const MachinePlace& place, Noticer& noticer) {
  if (place.region.empty()) {
    for (const auto& [name, region] : policy.spec.regions) {
      noticer.add(region, yaml::join_path("spec.regions", name),
                  fmt::format("this machine is in no region; --region {} puts it there", name));
    }
  }
  if (!place.profile.empty()) return;
  for (const auto& [name, profile] : policy.spec.profiles) {
    const auto path = yaml::join_path("spec.profiles", name);
    for (const auto& field : profile.children) {
      if (field.key == "go") continue;
      noticer.add(field, yaml::join_path(path, field.key),
                  fmt::format("of a profile only go is, as the view /go/~{0}/; --profile {0} puts all of it in force", name));
    }
    noticer.field(profile, path, "go.allowDirect", fmt::format("env.sh is written for the view /go/; --profile {} changes that", name));
  }
}

// The name that applies. `kind` is "region" or "profile".
Result<std::string> chosen(const model::Policy& policy, const std::string& kind, const std::string& asked, const model::Choice& choice,
                           const std::map<std::string, Node>& overlays, Noticer& noticer) {
  const std::string& name = asked.empty() ? choice.fallback : asked;
  if (name.empty() || overlays.contains(name)) return name;
  if (!asked.empty()) return fail(ErrorCode::kInvalid, "policy {} has no {} \"{}\"", policy.metadata.name, kind, name);
  noticer.field(policy.source, "spec", kind + ".default", fmt::format("spec.{}s does not define \"{}\"", kind, name));
  return std::string();
}

// The policy under these overlays.
Result<model::Effective> combine(const model::Policy& policy, const MachinePlace& place) {
  yaml::Problems problems;
  auto effective = with_overlays(policy, place.region, place.profile, problems);
  if (problems.empty()) return effective;
  return fail(problems.to_error().in(fmt::format("with region {} and profile {}", place.region, place.profile)));
}

Result<void> add_views(const model::Policy& policy, MachinePlan& plan, Noticer& noticer) {
  for (const auto& [name, overlay] : policy.spec.profiles) {
    const auto seen = combine(policy, {plan.place.region, name});
    if (seen) {
      noticer.view(policy, name, plan.go, seen->settings.go, plan.views);
    } else if (name == plan.place.profile) {
      return fail(seen.error());
    } else {
      noticer.add(overlay, yaml::join_path("spec.profiles", name), "there is no view for it: " + seen.error().message);
    }
  }
  return {};
}

}  // namespace

std::string Notice::to_string() const {
  const auto where = position.to_string();
  return fmt::format("{}{}{}: accepted, but not in force {}: {}", where, where.empty() ? "" : ": ", path, scope, reason);
}

std::string Overridden::to_string() const {
  return fmt::format("{}: policy {} is overridden by {}, which has the higher priority, or is older, or comes first by name",
                     position.to_string(), policy, winner);
}

bool wins(const model::Policy& a, const model::Policy& b) {
  // A policy that was never applied to a cluster has no age, and counts as the newest.
  const auto rank = [](const model::Policy& policy) {
    const auto& created = policy.metadata.creation_timestamp;
    return std::make_tuple(-static_cast<long>(policy.spec.priority), created.empty(), created, policy.metadata.name);
  };
  return rank(a) < rank(b);
}

const model::Go* go_of(const MachinePlan& plan) {
  if (plan.go.upstreams.empty()) return nullptr;
  if (plan.place.profile.empty()) return &plan.go;
  const auto view = std::ranges::find(plan.views, plan.place.profile, &View::profile);
  return view == plan.views.end() ? nullptr : &view->go;
}

Result<MachinePlan> plan_machine(const std::vector<model::Policy>& policies, const MachinePlace& place) {
  const auto winner = std::min_element(policies.begin(), policies.end(), wins);
  const auto& spec = winner->spec;
  MachinePlan plan;
  plan.policy = winner->metadata.name;
  for (const auto& policy : policies) {
    if (&policy != &*winner) plan.overridden.push_back({policy.metadata.name, policy.source.position, plan.policy});
  }
  Noticer noticer(plan.notices, "in standalone mode");
  const auto region = chosen(*winner, "region", place.region, spec.region, spec.regions, noticer);
  if (!region) return fail(region.error());
  const auto profile = chosen(*winner, "profile", place.profile, spec.profile, spec.profiles, noticer);
  if (!profile) return fail(profile.error());
  plan.place = {*region, *profile};

  auto effective = combine(*winner, plan.place);
  if (!effective) return fail(effective.error());
  plan.effective = std::move(*effective);
  auto base = combine(*winner, {plan.place.region, ""});
  if (!base) return fail(base.error());
  plan.go = std::move(base->settings.go);

  notice_fields(winner->source, "spec", noticer);
  if (!region->empty()) notice_fields(spec.regions.at(*region), yaml::join_path("spec.regions", *region), noticer);
  if (!profile->empty()) notice_fields(spec.profiles.at(*profile), yaml::join_path("spec.profiles", *profile), noticer);
  notice_overlays(*winner, plan.place, noticer);
  if (auto added = add_views(*winner, plan, noticer); !added) return fail(added.error());
  if (plan.go.upstreams.empty() && plan.effective.settings.registries.empty()) noticer.serves_nothing(*winner);
  return plan;
}

}  // namespace cistern::plan
