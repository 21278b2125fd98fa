#include "operator/run/commands.hpp"

#include "base/units.hpp"

namespace cistern::run {
namespace {

// Every option has an environment variable: --image-pull-policy is CISTERN_IMAGE_PULL_POLICY.
template <class Value>
CLI::Option* add(CLI::App* command, const std::string& name, Value& value, const char* description) {
  std::string variable = "CISTERN_" + name;
  for (char& character : variable) {
    character = character == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  }
  return command->add_option("--" + name, value, description)->envname(variable)->capture_default_str();
}

}  // namespace

Commands::Commands(CLI::App& app)
    : run_(app.add_subcommand("run", "Keep a cluster as its MirrorPolicies say; several replicas, of which one leads")),
      remove_(app.add_subcommand("uninstall", "Remove from a cluster what the operator made; the policies stay")) {
  auto& installation = settings_.installation;
  add(run_, "kubeconfig", settings_.kubeconfig, "How the API server is reached; default: $KUBECONFIG, else as a pod of the cluster");
  add(run_, "namespace", installation.ns, "Where the operator and the agents are");
  add(run_, "image", installation.image, "Image of the agents, unless a policy names one")->required();
  add(run_, "image-pull-policy", installation.image_pull_policy, "Of the agents' image");
  add(run_, "image-pull-secrets", installation.image_pull_secrets, "Names of Secrets for the agents' image, with commas")->delimiter(',');
  add(run_, "agent-service-account", installation.agent_service_account, "Service account of the agents; it needs no rights");
  add(run_, "cluster-domain", installation.cluster_domain, "DNS domain of the cluster's Services");
  add(run_, "metrics-namespaces", installation.metrics_namespaces, "Namespaces that may read agents' metrics, with commas")->delimiter(',');
  add(run_, "namespace-pod-security", settings_.namespace_pod_security,
      "Pod security level that the namespace is labelled with; default: the label is left as it is");
  add(run_, "identity", settings_.identity, "Of this replica; default: the host's name and something random");
  add(run_, "metrics", settings_.metrics, "HOST:PORT of /metrics");
  add(run_, "health", settings_.health, "HOST:PORT of /healthz and /readyz");
  add(run_, "webhook", settings_.webhook, "HOST:PORT of the injection webhook, over TLS; empty: nothing is injected into pods");
  add(run_, "webhook-certificates", settings_.webhook_certificates,
      "own: the operator makes and renews them; external: others (cert-manager) put them into the Secret cistern-webhook and the caBundle")
      ->check(CLI::IsMember({"own", "external"}));
  add(run_, "resync", resync_, "How often everything is looked at again, changed or not");
  add(run_, "cleanup-timeout", cleanup_, "How long the deletion of a policy waits for pods and nodes that do not let go");
  run_->add_flag("--node-program", installation.node_program, "The DaemonSet cistern-node runs: nodes are told what to do")
      ->envname("CISTERN_NODE_PROGRAM");
  run_->add_flag("--configure-containerd", installation.configure_containerd,
                 "Nodes may set a missing config_path in containerd's config.toml, and restart it")
      ->envname("CISTERN_CONFIGURE_CONTAINERD");
  add(run_, "heartbeat-timeout", heartbeat_, "Without a word for so long a node's program counts as gone");
  add(run_, "log-level", log_level_, "trace, debug, info, warn, error or off");

  add(remove_, "kubeconfig", uninstall_.kubeconfig, "As for run");
  add(remove_, "namespace", uninstall_.ns, "Where the operator and the agents are");
  add(remove_, "deployment", uninstall_.deployment, "The operator's, which is stopped first");
  add(remove_, "helm-release", uninstall_.helm_release, "Remove nothing unless the operator is of this release of Helm");
  add(remove_, "timeout", timeout_, "For all of it, as in 90s or 2m");
}

std::optional<Result<void>> Commands::execute() {
  if (run_->parsed()) {
    const auto resync = parse_duration(resync_);
    if (!resync) return fail(resync.error().in("--resync"));
    settings_.resync = *resync;
    const auto cleanup = parse_duration(cleanup_);
    if (!cleanup) return fail(cleanup.error().in("--cleanup-timeout"));
    settings_.cleanup_limit = std::chrono::duration_cast<std::chrono::seconds>(*cleanup);
    const auto heartbeat = parse_duration(heartbeat_);
    if (!heartbeat) return fail(heartbeat.error().in("--heartbeat-timeout"));
    settings_.heartbeat_limit = std::chrono::duration_cast<std::chrono::seconds>(*heartbeat);
    return run::run(settings_);
  }
  if (!remove_->parsed()) return std::nullopt;
  const auto timeout = parse_duration(timeout_);
  if (!timeout) return fail(timeout.error().in("--timeout"));
  uninstall_.timeout = *timeout;
  return run::uninstall(uninstall_);
}

}  // namespace cistern::run
