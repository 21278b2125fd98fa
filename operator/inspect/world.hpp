// A snapshot with what follows from it: the plan and the webhook's rules, made by the operator's own code. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/admission/rules.hpp"
#include "operator/inspect/snapshot.hpp"
#include "operator/reconcile/desired.hpp"
#include "operator/reconcile/node_lease.hpp"
#include "operator/reconcile/status.hpp"

namespace cistern::inspect {

// A node's Lease, with what only people ask for.
struct NodeState : reconcile::NodeLease {
  std::string runtime, version;
  unsigned long repairs = 0;
  std::optional<std::chrono::seconds> age;  // since it was renewed
  std::chrono::seconds duration{0};         // not renewed for so long: the node's program is away

  bool is_stale() const { return !age || *age > duration; }
};

class World {
 public:
  // `snapshot` outlives it.
  explicit World(const Snapshot& snapshot);

  const Snapshot& snapshot() const { return snapshot_; }
  const reconcile::Desired& desired() const { return *desired_; }
  const admission::Rules& rules() const { return rules_; }
  const std::string& ns() const { return snapshot_.ns; }

  // The policies in force that select these labels, the owner first.
  std::vector<const model::Policy*> selecting(const std::map<std::string, std::string>& labels,
                                              model::LabelSelector model::Spec::*selector) const;
  // The policies in force, the first where they select the same first.
  const std::vector<const model::Policy*>& policies() const { return ranked_; }

  std::optional<NodeState> node_state(const std::string& node) const;
  // The hash that the nodes of a group are to apply; empty: the operator has not told them yet.
  std::string wanted_node_hash(const std::string& group) const;
  // The hash that the agents of a group shall answer with; empty: not known.
  std::string wanted_agent_hash(const std::string& policy, const std::string& group) const;
  // Null: there is none. Of several (one is being replaced) the one that is not going.
  const Json* agent_on(const std::string& node, const std::string& group) const;
  const Json* node_program_on(const std::string& node) const;
  std::vector<const Json*> agents() const;

  // How many endpoints of a Service of Cistern's namespace are ready; nothing if that can not be told.
  std::optional<std::size_t> ready_endpoints(const std::string& service) const;
  // Whether the operator is there and one of its replicas leads; else why not.
  std::string why_no_leader() const;
  bool is_uninstalling() const;
  // The webhook of ours in the configuration; null if there is none.
  const Json* webhook() const;

 private:
  std::chrono::seconds age_of(WallTime time) const { return std::max(std::chrono::seconds(0), now_ - time); }

  const Snapshot& snapshot_;
  WallTime now_;  // this machine's clock, or the newest time in a Lease if that is behind
  std::shared_ptr<const reconcile::Desired> desired_;
  std::vector<const model::Policy*> ranked_;
  admission::Rules rules_;
  // So that thousands of nodes are looked at in a moment.
  std::map<std::string, const Json*> leases_;                          // by name
  std::map<std::pair<std::string, std::string>, const Json*> agents_;  // by node and group
  std::map<std::string, const Json*> programs_;                        // by node
  std::map<std::string, std::string> node_hashes_;                     // by group
};

// Why `winner` goes before `loser` where both select the same: "priority 10 over 0".
std::string why_first(const model::Policy& winner, const model::Policy& loser);

// Whether the webhook is asked for pods of these labels in namespaces of those; else which of its selectors leaves them out.
std::string why_webhook_is_not_asked(const Json& webhook, const std::map<std::string, std::string>& namespace_labels,
                                     const std::map<std::string, std::string>& pod_labels);

// "12s", "3m", "2h", "41d": roughly.
std::string age_in_words(std::chrono::seconds age);

}  // namespace cistern::inspect
