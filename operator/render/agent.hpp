// The agent's configuration for one machine.
#pragma once

#include <string>

#include "config/model.hpp"
#include "operator/plan/machine.hpp"

namespace cistern::render {

// Where things are on this machine.
struct Machine {
  std::string listen;     // HOST:PORT of the one listener
  std::string admin;      // HOST:PORT, loopback
  std::string reachable;  // HOST:PORT by which programs here reach the listener
};

// Paths in it are relative to the data folder, where the file is: the cache in `cache`, each credentialsRef in `credentials/NAME/`,
// each caRef in `credentials/NAME/ca.crt`.
config::Config agent_config(const plan::MachinePlan& plan, const Machine& machine);

}  // namespace cistern::render
