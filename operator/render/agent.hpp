// The agent's configuration, for one machine and for a group of a cluster's nodes.
#pragma once

#include <string>
#include <vector>

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

// An upstream that refers to something.
struct ReferenceUse {
  const std::string& name;      // of what it refers to
  const std::string& path;      // the upstream's: "spec.go.upstreams[0]"
  const std::string& registry;  // empty: it is for Go
  const std::string& url;
};

// Where the agent finds what policies refer to: as in `credentials` and `caFile` of its file; empty: the upstream is asked without it.
class ReferencePlaces {
 public:
  virtual ~ReferencePlaces() = default;
  virtual std::string credentials(const ReferenceUse& use) = 0;
  virtual std::string ca(const ReferenceUse& use) = 0;
};

// What an agent serves, wherever it runs.
struct Served {
  const std::string& policy;
  const model::Settings& settings;
  const model::Go& go;  // of /go/
  const std::vector<plan::View>& views;
};

// Everything but listeners, server, the cache's path and peers.
config::Config agent_config(const Served& served, ReferencePlaces& places);

}  // namespace cistern::render
