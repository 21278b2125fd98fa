// policy/<name>: the finalizer, the spec in force (a ConfigMap), the Service and the NetworkPolicy of a policy, its status and Events; and
// its deletion, which takes everything along that was made for it.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "operator/reconcile/agent_poller.hpp"
#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

struct PolicyOptions {
  std::chrono::seconds cleanup_limit{120};  // for pods and nodes that do not let go of a policy being deleted
  std::chrono::seconds settle{5};           // after nodes got their label, until the DaemonSet's numbers count
  bool injects = false;                     // whether the operator serves the webhook; set by the controllers
};

// Thread-safe; one policy by one thread at a time.
class PolicyReconciler {
 public:
  PolicyReconciler(const Parts& parts, State& state, Applier& applier, AgentPoller& poller, PolicyOptions options)
      : parts_(parts), state_(state), applier_(applier), poller_(poller), options_(options) {}

  // The work begins; called before the first reconcile.
  void begin() { started_ = parts_.clock.steady(); }
  Result<Outcome> reconcile(const std::string& name);

 private:
  struct Settling {
    std::vector<std::string> nodes;
    SteadyTime since;
  };
  struct WrittenStatus {
    std::string before;  // the object's resourceVersion
    Object after;
  };

  Result<Outcome> gone(const std::string& name);
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

  const Parts& parts_;
  State& state_;
  Applier& applier_;
  AgentPoller& poller_;
  const PolicyOptions options_;
  SteadyTime started_{};

  std::mutex mutex_;
  std::map<std::string, SteadyTime> deleting_since_;  // by uid
  std::map<std::string, Settling> settling_;          // by group
  std::map<std::string, WrittenStatus> written_;      // by policy
};

}  // namespace cistern::reconcile
