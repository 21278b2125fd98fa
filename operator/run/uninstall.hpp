// `cistern-operator uninstall`: removes what the operator made, before the chart removes the operator's rights. The policies stay.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "operator/kube/client.hpp"

namespace cistern::run {

struct UninstallSettings {
  std::filesystem::path kubeconfig;
  std::string ns = "cistern-system";
  std::string deployment = "cistern-operator";
  // Whose uninstallation this is: refused if the Deployment is not of this release of Helm. Empty: not asked.
  std::string helm_release;
  std::string lease = "cistern-operator";
  std::string operator_selector = "app.kubernetes.io/name=cistern,app.kubernetes.io/component=operator";
  std::chrono::milliseconds timeout = std::chrono::minutes(2);
};

// In this order: the webhook's configuration goes; the operator's Deployment is scaled to 0 and its pods waited for, so that it does not
// make again what goes; a ConfigMap tells the nodes' programs, which put the runtimes' files back while agents still run, and are waited
// for; DaemonSets, Services, Secrets, NetworkPolicies and ConfigMaps with our labels are deleted, ConfigMaps of all namespaces; agents'
// pods are waited for; the node programs go; nodes lose the group's label, policies our finalizer and their status; the namespace gets back
// the Pod Security label that it had; the Leases go. What is gone already is no failure, so it may be run again.
//
// A node whose program did not say that it has put its files back keeps its Lease and a label (reconcile/leaving.hpp), by which a later
// installation knows it.
//
// The chart's Job is a hook, which `helm template` prints with the rest: piped into `kubectl apply` it would undo at once what was just
// installed. So with `helm_release` nothing is touched unless Helm itself has installed the operator.
//
// All within the timeout, of which each wait gets a part. Agents that do not end in time (their node may be dead) are named and left to
// Kubernetes, which removes them with their owner. An error (exit code 1) names what could not be removed: a finalizer that stays would
// keep its policy from ever being deleted, so it is better that `helm uninstall` stops there and is repeated.
Result<void> uninstall(kube::Client& client, const Clock& clock, const UninstallSettings& settings,
                       const std::function<void(const std::string& line)>& say);
// With the client that the settings find; lines go to standard output.
Result<void> uninstall(const UninstallSettings& settings);

}  // namespace cistern::run
