#include "operator/plan/machine.hpp"

#include <algorithm>
#include <array>
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
constexpr std::array<Inert, 11> kInert = {{
    {"nodeSelector", "there are no nodes to select; the policy applies to this machine"},
    {"namespaceSelector", "there are no namespaces here"},
    {"storage.hostPath", "the cache is in the data folder"},
    {"storage.onDelete", "the cache stays in the data folder until you remove it"},
    {"injection", "there are no pods here; source env.sh from the data folder"},
    {"nodeConfig", "the runtime is not configured; copy certs.d or registries.conf.d from the data folder"},
    {"prefetch", "nothing is fetched ahead of its use yet"},
    {"peers", "there is one agent only"},
    {"agent", "the agent is a process, not a pod"},
    {"region", "this machine has no labels; regions are not applied"},
    {"profile", "this machine has no labels; ask for a profile by its view /go/~<profile>/"},
}};

void notice_overlays(const Node& spec, Noticer& noticer) {
  if (const Node* regions = spec.find("regions")) {
    for (const auto& region : regions->children) {
      noticer.add(region, yaml::join_path("spec.regions", region.key), "this machine is in no region");
    }
  }
  const Node* profiles = spec.find("profiles");
  if (profiles == nullptr) return;
  for (const auto& profile : profiles->children) {
    const auto path = yaml::join_path("spec.profiles", profile.key);
    for (const auto& field : profile.children) {
      if (field.key == "go") continue;
      noticer.add(field, yaml::join_path(path, field.key), fmt::format("of a profile only go is, as the view /go/~{}/", profile.key));
    }
    noticer.field(profile, path, "go.allowDirect", "env.sh is written for the view /go/ only");
  }
}

void add_views(const model::Policy& policy, MachinePlan& plan, Noticer& noticer) {
  for (const auto& [name, overlay] : policy.spec.profiles) {
    yaml::Problems none;  // each overlay by itself was validated with the policy
    const auto seen = with_overlays(policy, "", name, none);
    noticer.view(policy, name, plan.effective.settings.go, seen.settings.go, plan.views);
  }
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

MachinePlan plan_machine(const std::vector<model::Policy>& policies) {
  const auto winner = std::min_element(policies.begin(), policies.end(), wins);
  MachinePlan plan;
  plan.policy = winner->metadata.name;
  plan.effective = {winner->source, winner->spec.settings};
  for (const auto& policy : policies) {
    if (&policy != &*winner) plan.overridden.push_back({policy.metadata.name, policy.source.position, plan.policy});
  }
  Noticer noticer(plan.notices, "in standalone mode");
  for (const auto& field : kInert) noticer.field(winner->source, "spec", field.path, field.reason);
  notice_overlays(winner->source, noticer);
  add_views(*winner, plan, noticer);
  if (plan.effective.settings.go.upstreams.empty() && plan.effective.settings.registries.empty()) {
    noticer.serves_nothing(*winner);
  }
  return plan;
}

}  // namespace cistern::plan
