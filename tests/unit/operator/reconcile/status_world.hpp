// A policy and its agents, as one state of the world that a status is made from.
#pragma once

#include <string>
#include <vector>

#include "operator/reconcile/status.hpp"

namespace cistern::reconcile {

// Generation 3 of policy "default" on nodes n1, n2, n3, with everything in force. The state points into the world: no copies.
struct World {
  World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  GroupState& group() { return state.groups.front(); }
  AgentPod& pod(std::size_t index) { return group().pods.at(index); }
  // A pod that is not ready, for whatever reason is given to it later.
  AgentPod& sick_pod(std::size_t index);
  nlohmann::json status(WallTime now = kNow) const { return policy_status(state, totals, now); }

  // 2026-01-02T03:04:05Z
  static constexpr WallTime kNow{std::chrono::seconds(1767323045)};

  nlohmann::json object;
  plan::PolicyOutcome outcome;
  PolicyState state;
  CacheTotals totals;
};

// A group with its agents in force on `nodes`.
GroupState group_in_force(const std::string& name, const std::vector<std::string>& nodes);

// The condition of this type; null if there is none.
nlohmann::json condition(const nlohmann::json& status, const std::string& type);

// States by name, each with what makes it of a world where everything is in force.
struct Case {
  const char* name;
  void (*make)(World&);
};
const std::vector<Case>& cases();

}  // namespace cistern::reconcile
