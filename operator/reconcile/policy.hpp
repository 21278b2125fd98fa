// policy/<name>: the finalizer, the spec in force (a ConfigMap), the Service and the NetworkPolicy of a policy, its status and Events; and
// its deletion, which takes everything along that was made for it.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "operator/reconcile/agent_poller.hpp"
#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/granting.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

struct PolicyOptions {
  std::chrono::seconds cleanup_limit{120};  // for pods and nodes that do not let go of a policy being deleted
  std::chrono::seconds settle{5};           // after nodes got their label, until the DaemonSet's numbers count
  bool injects = false;                     // whether the operator serves the webhook; set by the controllers
  std::chrono::seconds silence{300};        // without a word for so long a node's program counts as gone
};

// Thread-safe; one policy by one thread at a time.
class PolicyReconciler {
 public:
  PolicyReconciler(const Parts& parts, State& state, Applier& applier, AgentPoller& poller, Leaving& leaving, PolicyOptions options)
      : parts_(parts), state_(state), applier_(applier), poller_(poller), leaving_(leaving), options_(options) {}

  // The work begins; called before the first reconcile.
  void begin() { started_ = parts_.clock.steady(); }
  Result<Outcome> reconcile(const std::string& name);

 private:
  struct Settling {
    std::vector<std::string> nodes;
    SteadyTime since;
  };
  struct TroubledNodes {
    std::set<std::string> silent;
    std::set<std::string> failed;
  };
  struct WrittenStatus {
    std::string before;  // the object's resourceVersion
    Object after;
  };

  Result<Outcome> gone(const std::string& name);
  // Nodes in groups of a policy that goes: those that have still to put their files back, and those that are away and can not.
  struct NodesOfDeleted {
    std::vector<std::string> waiting;
    std::vector<std::string> away;
  };
  NodesOfDeleted nodes_of_deleted(const std::string& name);
  void tell_of_away(const Object& live, const std::string& uid, const std::vector<std::string>& away);
  Result<Outcome> finalize(const std::string& name, const Object& live);
  // True: it was written.
  Result<bool> set_finalizer(const Json& live, const std::string& name, bool present);
  Result<std::string> make(const std::string& name, const PolicyEntry& entry);
  Result<std::string> remove_all(const std::string& name);
  // What still has to go, in words.
  std::vector<std::string> leftovers(const std::string& name) const;

  bool knows_enough(const std::string& name, const Desired& desired, const PolicyEntry& entry) const;
  Result<Outcome> write_status(const std::string& name, const Desired& desired, const PolicyEntry& entry, const Error* trouble);
  std::string webhook_trouble(const PolicyEntry& entry, const plan::PolicyOutcome* outcome) const;
  GroupState group_state(const plan::Group& group, std::optional<milliseconds>& again);
  std::optional<std::size_t> scheduled(const plan::Group& group, std::optional<milliseconds>& again);
  Object newest(const std::string& name);
  void tell(const std::string& name, const Json& status, const PolicyState& state);
  void add_node_setups(const plan::Group& group, const GroupResult& result, GroupState& state);
  // Of nodes that have fallen silent, or failed, since the last time; reasons in `told` have been told already.
  void tell_of_nodes(const Object& live, const PolicyState& state, const std::set<std::string>& told);

  const Parts& parts_;
  State& state_;
  Applier& applier_;
  AgentPoller& poller_;
  Leaving& leaving_;
  const PolicyOptions options_;
  SteadyTime started_{};

  std::mutex mutex_;
  std::map<std::string, SteadyTime> deleting_since_;  // by uid
  std::map<std::string, Settling> settling_;          // by group
  std::map<std::string, WrittenStatus> written_;      // by policy
  std::set<std::string> told_away_;                   // by uid: of these the nodes that are away were named
  std::map<std::string, TroubledNodes> troubled_;     // by policy: as it was told last
};

}  // namespace cistern::reconcile
