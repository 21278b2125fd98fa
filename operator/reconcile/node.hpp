// node/<name>: the label that says which group a node is in, and the one by which an uninstallation has left a node for later.
#pragma once

#include <functional>
#include <string>

#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

// Thread-safe.
class NodeReconciler {
 public:
  // `changed` is called with the policy's name when a node of it can not be labelled, or can again.
  NodeReconciler(const Parts& parts, State& state, Leaving& leaving, std::function<void(const std::string& policy)> changed)
      : parts_(parts), state_(state), leaving_(leaving), changed_(std::move(changed)) {}

  Result<Outcome> reconcile(const std::string& name);

 private:
  // The node's program is told to let go, once.
  Result<Outcome> let_go(const std::string& name);
  // Whether what was left on the node is gone, or in use again.
  bool is_restored(const std::string& name, const Desired& desired) const;

  const Parts& parts_;
  State& state_;
  Leaving& leaving_;
  const std::function<void(const std::string&)> changed_;
};

}  // namespace cistern::reconcile
