// What keeps a policy from being in force, and what is amiss though it is: one finding for each reason, the gravest first. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "operator/reconcile/node_agents.hpp"

namespace cistern::reconcile {

struct Finding {
  std::string reason;
  std::string message;   // whole sentences
  bool stalled = false;  // waiting does not help
  bool blocks = true;    // Ready is False for it; else only if agents are not in force
};

// A policy's agents, once they have been looked at.
struct Agents {
  struct Group {
    const GroupState* state = nullptr;
    std::vector<NodeAgent> agents;
    std::size_t in_force = 0;
  };
  std::vector<Group> groups;             // by name
  std::size_t desired = 0;               // one for each selected node
  std::size_t in_force = 0;              // ready and in force, on whatever node
  std::size_t reachable = 0;             // of those desired, on nodes that can be reached
  std::size_t reachable_in_force = 0;    // what Ready is about
  std::size_t outdated = 0;              // of those: made from a former pod template
  std::vector<std::string> unreachable;  // nodes, sorted
};
Agents look_at_agents(const PolicyState& state);

// What is wrong with agents on reachable nodes, or still to come.
std::vector<Finding> pod_findings(const PolicyState& state, const Agents& agents);

// Degraded: in force, but not as good as it was meant.
std::vector<Finding> degraded_findings(const PolicyState& state, const Agents& agents);

}  // namespace cistern::reconcile
