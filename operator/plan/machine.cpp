#include "operator/plan/machine.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include "operator/model/validate.hpp"

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

class Noticer {
 public:
  explicit Noticer(std::vector<Notice>& notices) : notices_(notices) {}

  void inert_fields(const Node& spec) {
    for (const auto& field : kInert) {
      if (const Node* node = find(spec, field.path)) add(*node, std::string("spec.") + field.path, field.reason);
    }
  }

  void rollouts(const Node& spec, const std::string& path) {
    const Node* upstreams = find(spec, "go.upstreams");
    if (upstreams == nullptr) return;
    for (std::size_t i = 0; i < upstreams->children.size(); ++i) {
      if (const Node* rollout = upstreams->children[i].find("rollout")) {
        add(*rollout, fmt::format("{}.go.upstreams[{}].rollout", path, i), "the upstream is asked for all of its objects");
      }
    }
  }

  void overlays(const Node& spec) {
    if (const Node* regions = spec.find("regions")) {
      for (const auto& region : regions->children) {
        add(region, yaml::join_path("spec.regions", region.key), "this machine is in no region");
      }
    }
    const Node* profiles = spec.find("profiles");
    if (profiles == nullptr) return;
    for (const auto& profile : profiles->children) {
      const auto path = yaml::join_path("spec.profiles", profile.key);
      for (const auto& field : profile.children) {
        if (field.key == "go") continue;
        add(field, yaml::join_path(path, field.key), fmt::format("of a profile only go is, as the view /go/~{}/", profile.key));
      }
      if (const Node* direct = find(profile, "go.allowDirect"))
        add(*direct, path + ".go.allowDirect", "env.sh is written for the view /go/ only");
      rollouts(profile, path);
    }
  }

  void add(const Node& node, const std::string& path, const std::string& reason) { notices_.push_back({node.position, path, reason}); }

 private:
  static const Node* find(const Node& node, std::string_view path) {
    const Node* at = &node;
    while (at != nullptr && !path.empty()) {
      const auto dot = std::min(path.find('.'), path.size());
      at = at->find(path.substr(0, dot));
      path.remove_prefix(std::min(dot + 1, path.size()));
    }
    return at;
  }

  std::vector<Notice>& notices_;
};

void add_views(const model::Policy& policy, MachinePlan& plan, Noticer& noticer) {
  for (const auto& [name, overlay] : policy.spec.profiles) {
    yaml::Problems none;  // each overlay by itself was validated with the policy
    auto seen = model::effective(policy, "", name, none);
    model::validate(seen.settings, seen.written, "", none);
    if (plan.effective.settings.go.upstreams.empty() || seen.settings.go.upstreams.empty()) {
      noticer.add(overlay, yaml::join_path("spec.profiles", name), "there is no view for it, as spec.go names no upstream");
    } else {
      plan.views.push_back({name, std::move(seen.settings.go)});
    }
  }
}

}  // namespace

std::string Notice::to_string() const {
  return fmt::format("{}: {}: accepted, but not in force in standalone mode: {}", position.to_string(), path, reason);
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
  Noticer noticer(plan.notices);
  noticer.inert_fields(winner->source);
  noticer.rollouts(winner->source, "spec");
  noticer.overlays(winner->source);
  add_views(*winner, plan, noticer);
  if (plan.effective.settings.go.upstreams.empty() && plan.effective.settings.registries.empty()) {
    noticer.add(winner->source, "spec", "it names no upstream, neither for Go nor for images, so that nothing is served");
  }
  return plan;
}

}  // namespace cistern::plan
