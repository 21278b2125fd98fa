// `cistern-operator node`: watches what concerns this node, and makes its files follow. `--restore`: puts them back by hand.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "operator/node/worker.hpp"

namespace cistern::node {

struct NodeSettings {
  std::filesystem::path kubeconfig;  // empty: as kube::find_configuration
  std::string node;                  // this node's name
  std::string ns = "cistern-system";
  std::string daemon_set = "cistern-node";
  std::filesystem::path state = "/var/lib/cistern-node";  // on the host
  std::string metrics;                                    // HOST:PORT; empty: none
  WorkerSettings worker;
};

// Blocks until SIGTERM or SIGINT, or until it can not begin. Called once in a process, before any other thread is started.
Result<void> run_node(const NodeSettings& settings);

// Needs no API server. A line for each file, told as it is done; an error unless everything of ours is gone (files of others that stand in
// the place of ours are named, and are none).
Result<void> restore_node(const NodeSettings& settings, const std::function<void(const std::string& line)>& say);

}  // namespace cistern::node
