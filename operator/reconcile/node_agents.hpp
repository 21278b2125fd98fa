// The agent of each node of a group, and how it is. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/reconcile/status.hpp"

namespace cistern::reconcile {

enum class AgentState {
  kInForce,             // ready, and answers with the group's hash
  kImageNotPulled,      //
  kCannotStart,         // kubelet can not start its container
  kCrashing,            // it starts and ends again
  kUnschedulable,       //
  kSilent,              // ready, but did not answer when it was asked
  kOtherConfiguration,  // ready, and answers with another hash
  kStarting,            // not ready, or not asked yet
  kNoPod,
};

struct NodeAgent {
  std::string node;
  const AgentPod* pod = nullptr;  // null: there is none
  AgentState state = AgentState::kNoPod;
  bool reachable = true;
};

// One for each selected node, by name.
std::vector<NodeAgent> node_agents(const GroupState& group);

// Pods that no node was found for and of which it is not even known which node they were meant for.
std::vector<const AgentPod*> homeless_pods(const GroupState& group);

// The state's groups, by name.
std::vector<const GroupState*> groups_in_order(const PolicyState& state);

}  // namespace cistern::reconcile
