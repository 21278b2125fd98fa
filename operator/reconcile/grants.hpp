// Which nodes may change now. Pure.
//
// Of a group at most `nodeConfig.maxUnavailable` nodes are in change at a time: from the grant of a configuration until the node's Lease
// says that it is in force. What that means for nodes that do not get there:
//
//   - A failed node keeps its place, so that a configuration that fails everywhere is not tried everywhere. But places are given up for as
//     many failed nodes as have succeeded, and one more: one bad node among good ones does not stop the rest, and a configuration that
//     fails on every node reaches at most maxUnavailable + 1 of them.
//   - A node that is away (NotReady, or not heard of for long) gives its place up, and gets none.
//   - A node that can not be configured (Unsupported) needs no place: nothing is changed there.
//   - A node whose agent is not ready gets no grant, since it would only wait; one that has a grant already does not keep others waiting.
//
// A node that was granted a former configuration is in change already, and so comes first.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "operator/reconcile/node_lease.hpp"
#include "operator/reconcile/status.hpp"

namespace cistern::reconcile {

struct GroupNode {
  std::string name;
  std::optional<NodeLease> lease;  // nothing: its program has made none
  bool silent = false;             // nothing was heard of its program for too long
  bool reachable = true;           // as the cluster says of the node
  bool agent_ready = false;

  bool away() const { return silent || !reachable; }
};

// How a node is with regard to the configuration `hash`.
enum class NodeProgress { kConfigured, kWaiting, kFailed, kUnsupported };
NodeProgress progress(const NodeLease& lease, const std::string& hash);

NodeSetup node_setup(const GroupNode& node, model::NodeConfigMode mode, const std::string& hash);

// As a DaemonSet reads it: percentages are rounded up, and at least one.
std::size_t nodes_at_once(const nlohmann::json& max_unavailable, std::size_t nodes);

struct Grants {
  struct Grant {
    std::string node;
    std::string hash;  // empty: what was granted is taken back
    bool operator==(const Grant&) const = default;
  };
  std::vector<Grant> grants;    // only what differs from what is granted now
  std::size_t in_change = 0;    // nodes that have a place, the new ones included
  bool held_by_failed = false;  // others wait, and all places are failed nodes'
};
// For the configuration `hash` of a group; empty: nothing may be changed (nodeConfig.mode Report or Off), and what was granted is taken
// back, so that a later Apply begins anew.
Grants grants(const std::vector<GroupNode>& nodes, const std::string& hash, std::size_t at_once);

}  // namespace cistern::reconcile
