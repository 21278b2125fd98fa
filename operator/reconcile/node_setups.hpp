// What a policy's status says of how its nodes' runtimes are set up. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "operator/reconcile/findings.hpp"

namespace cistern::reconcile {

struct NodeSetups {
  bool told = false;  // the node program is installed
  std::size_t configured = 0;
  std::vector<const NodeSetup*> waiting;  // on reachable nodes, and not for failed ones: it goes on by itself
  std::vector<const NodeSetup*> held;     // wait until failed ones are mended
  std::vector<const NodeSetup*> failed;
  std::vector<const NodeSetup*> unsupported;
  std::vector<const NodeSetup*> silent;
  std::vector<const NodeSetup*> drifted;
  std::vector<const NodeSetup*> reported;
  std::size_t off = 0;
  std::set<std::string> kept_in_fallback;
};
// Nodes by name.
NodeSetups look_at_node_setups(const PolicyState& state);

// What keeps the policy from being in force on nodes.
void add_waiting_nodes(const NodeSetups& setups, std::vector<Finding>& findings);
// What is amiss on nodes, the gravest first.
void add_troubled_nodes(const PolicyState& state, const NodeSetups& setups, std::vector<Finding>& findings);

// " 3 nodes ask them first." and the like, for when all is well; empty where nodes are told nothing.
std::string node_note(const NodeSetups& setups);

}  // namespace cistern::reconcile
