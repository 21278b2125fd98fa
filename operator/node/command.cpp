#include "operator/node/command.hpp"

#include <cstdio>

#include "base/units.hpp"

namespace cistern::node {
namespace {

// Every option has an environment variable: --host-root is CISTERN_HOST_ROOT.
template <class Value>
void add(CLI::App* command, const std::string& name, Value& value, const char* description) {
  std::string variable = "CISTERN_" + name;
  for (char& character : variable) {
    character = character == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  }
  command->add_option("--" + name, value, description)->envname(variable)->capture_default_str();
}

}  // namespace

Command::Command(CLI::App& app)
    : app_(app.add_subcommand("node",
                              "Point this node's container runtime at its cache, as its policy says; --restore takes it off again")) {
  app_->add_flag("--restore", restore_, "Put every file back as it was, without an API server, print each, and end");
  add(app_, "host-root", settings_.worker.root, "Where the host's file system is");
  add(app_, "state", settings_.state, "Folder on the host for backups and the ledger of what is ours");
  add(app_, "node-name", settings_.node, "This node's name in the cluster");
  add(app_, "namespace", settings_.ns, "Where the operator and this program are");
  add(app_, "daemon-set", settings_.daemon_set, "The one that this program is of: files are put back when it is gone");
  add(app_, "kubeconfig", settings_.kubeconfig, "How the API server is reached; default: $KUBECONFIG, else as a pod of the cluster");
  add(app_, "containerd-config", settings_.worker.containerd_config, "containerd's own configuration, on the host");
  add(app_, "check", check_, "How often files are looked at if nothing tells of a change");
  add(app_, "metrics", settings_.metrics, "HOST:PORT of /metrics and /healthz; default: none");
  add(app_, "log-level", log_level_, "trace, debug, info, warn, error or off");
}

Result<void> Command::execute() {
  if (restore_) {
    return restore_node(settings_, [](const std::string& line) {
      fmt::print("{}\n", line);
      std::fflush(stdout);
    });
  }
  if (settings_.node.empty()) return fail(ErrorCode::kInvalid, "--node-name is required (in a pod: CISTERN_NODE_NAME from spec.nodeName)");
  const auto check = parse_duration(check_);
  if (!check) return fail(check.error().in("--check"));
  settings_.worker.check = *check;
  return run_node(settings_);
}

}  // namespace cistern::node
