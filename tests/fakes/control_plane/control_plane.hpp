// A real etcd and kube-apiserver on 127.0.0.1, with a folder and ports of their own. One thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "operator/kube/configuration.hpp"
#include "tests/fakes/places/places.hpp"
#include "tests/fakes/agent_process/process.hpp"

namespace cistern::fakes {

class ControlPlane {
 public:
  // Where the programs are: $CISTERN_TOOLS (or its usual place)/kubernetes-VERSION/bin, the newest; empty if they were never built.
  static std::filesystem::path programs();

  ControlPlane();

  // Starts both and waits until the API server is ready. False if that does not come within a minute: then see log().
  bool start();
  // kill -9 of the API server alone, and a new one on the same data.
  bool restart_api_server();
  // As a member of system:masters.
  kube::Configuration configuration() const;
  std::string log() const;

 private:
  bool start_api_server();

  TemporaryFolder folder_;
  unsigned short etcd_port_, peer_port_, port_;
  std::unique_ptr<Process> etcd_, api_server_;
};

// Makes the CRD of MirrorPolicies, and waits until it is served. False if that fails.
bool install_crd(kube::Client& client);

}  // namespace cistern::fakes
