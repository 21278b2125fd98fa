// The command line of `doctor`, and of `explain node|namespace|pod`: reads a cluster and prints. Writes nothing there.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "operator/inspect/explain.hpp"
#include "operator/kube/client.hpp"

namespace cistern::inspect {

class Command {
 public:
  // Adds `doctor` to `app`, and to `explain`, which explains files, the options for a cluster. `words` are what explain was given, `format`
  // is read into by both. All outlive this.
  Command(CLI::App& app, CLI::App& explain, const std::vector<std::string>& words, std::string& format);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Empty: neither was asked for. Else the exit code: of doctor 1 if there is a problem.
  std::optional<Result<int>> execute();

 private:
  Result<int> explain();
  Result<int> doctor();
  Result<std::string> connect();

  CLI::App* explain_;
  CLI::App* doctor_;
  const std::vector<std::string>& words_;
  const std::string& format_;
  std::filesystem::path kubeconfig_;
  std::string ns_ = "cistern-system";
  std::string pod_ns_;
  Wanted wanted_;
  std::unique_ptr<kube::Client> client_;
};

// What to print of a cluster. `what` is "node", "namespace" or "pod"; `ns` a pod's.
Result<Explained> explain_object(kube::Client& client, const Clock& clock, const std::string& own_namespace, const std::string& what,
                                 const std::string& ns, const std::string& name, const Wanted& wanted);
Result<Lines> diagnose(kube::Client& client, const Clock& clock, const std::string& own_namespace);

}  // namespace cistern::inspect
