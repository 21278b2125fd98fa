// node/<name>: the label that says which group a node is in.
#pragma once

#include <functional>
#include <string>

#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

// Thread-safe.
class NodeReconciler {
 public:
  // `changed` is called with the policy's name when a node of it can not be labelled, or can again.
  NodeReconciler(const Parts& parts, State& state, std::function<void(const std::string& policy)> changed)
      : parts_(parts), state_(state), changed_(std::move(changed)) {}

  Result<Outcome> reconcile(const std::string& name);

 private:
  const Parts& parts_;
  State& state_;
  const std::function<void(const std::string&)> changed_;
};

}  // namespace cistern::reconcile
