// pods/<name>: the hash of its group's configuration, as an annotation on an agent's pod (kubelet refreshes mounted Secrets about once a
// minute, but at once when the pod changes), and the labels by which its DaemonSet knows it.
#pragma once

#include <string>

#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

// Thread-safe.
class PodReconciler {
 public:
  explicit PodReconciler(const Parts& parts) : parts_(parts) {}

  Result<Outcome> reconcile(const std::string& name);

 private:
  const Parts& parts_;
};

}  // namespace cistern::reconcile
