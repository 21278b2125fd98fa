// `cistern-operator run`: informers and the webhook on every replica, controllers on the one that leads, /metrics and health on two
// listeners.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "base/error.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::run {

struct Settings {
  std::filesystem::path kubeconfig;  // empty: as kube::find_configuration
  render::Installation installation;
  std::string identity;  // of this replica in the Lease and in Events; empty: the host's name and something random
  std::string metrics = "0.0.0.0:8080";
  std::string health = "0.0.0.0:8081";
  std::string webhook = "0.0.0.0:9443";  // empty: nothing is injected into pods
  // Who makes the webhook's Secret and its configuration's caBundle: "own", or "external" for cert-manager or whoever else.
  std::string webhook_certificates = "own";
  std::string lease = "cistern-operator";
  std::string namespace_pod_security;
  std::chrono::seconds cleanup_limit{120};
  std::chrono::seconds heartbeat_limit{300};  // without a word for so long a node's program counts as gone
  std::chrono::milliseconds resync{600000};   // everything is looked at again so often
};

// Blocks until SIGTERM or SIGINT (success, the Lease is given back), or until it can not go on. Called once in a process, before any other
// thread is started.
//
// A leader that has lost its Lease ends the process at once, with exit code 1: what its threads still do could collide with the next
// leader's work.
Result<void> run(Settings settings);

}  // namespace cistern::run
