#include "operator/inspect/causes.hpp"

#include <algorithm>

#include "operator/node/lease.hpp"
#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/cluster.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::inspect {
namespace {

using reconcile::one_line;

std::string pods_of_node_program(const World& world) {
  return fmt::format("kubectl -n {} get pods -o wide | grep {}", world.ns(), kNodeDaemonSet);
}

std::string log_of_node_program(const World& world, const std::string& what) {
  return fmt::format("see the log of this node's pod of DaemonSet {} in {}{}", kNodeDaemonSet, world.ns(), what);
}

// The label by which the group's agents and files come to a node.
void add_label_cause(const World& world, const plan::Group& group, const Json& node, Causes& causes) {
  const auto label = kube::label(node, render::kGroupLabel);
  if (label == group.name) return;
  const auto leader = world.why_no_leader();
  causes.push_back({leader.empty() ? Level::kWarning : Level::kProblem,
                    label.empty() ? fmt::format("the operator has not labelled it for group {} yet", group.name)
                                  : fmt::format("it is still labelled for group {}, not {}", label, group.name),
                    leader.empty() ? "wait; if it lasts, see the operator's log" : leader + ": make the operator run"});
}

// What the Lease says of a node that is to be configured.
void add_state_causes(const World& world, const NodeState& state, Causes& causes) {
  // What was applied before goes on to work.
  const bool nothing = state.applied_hash.empty() || state.applied_hash == "none";
  const auto message = one_line(state.message);
  const auto words = message.empty() ? std::string() : ": " + message;
  if (state.state == "Applied") {
    if (!message.empty()) causes.push_back({Level::kWarning, message, "", false});
  } else if (state.state == "Unsupported") {
    causes.push_back({Level::kProblem, message.empty() ? "its runtime can not be configured" : message,
                      "set on the node what that says; it is taken up by itself"});
  } else if (state.state == "Failed") {
    causes.push_back({Level::kProblem, "its files could not be written, and are as before" + words,
                      log_of_node_program(world, "; it is tried again by itself"), nothing});
  } else if (state.state == "Invalid") {
    causes.push_back({Level::kProblem, "it can not read what the operator tells it" + words,
                      "operator and nodes are of different versions: upgrade the chart, and wait for both", nothing});
  } else if (state.state == "Waiting") {
    causes.push_back({Level::kWarning, message.empty() ? "it waits to be configured" : message,
                      "wait; if it lasts, see this node's agent, and nodes that failed: as many as maxUnavailable hold up the others",
                      nothing});
  } else if (state.state == "Restored") {
    causes.push_back({Level::kProblem, "its files are as they were before Cistern" + words,
                      world.is_uninstalling()
                          ? fmt::format("if Cistern is to stay: kubectl -n {} delete configmap {}", world.ns(), node::kUninstallConfigMap)
                          : log_of_node_program(world, "")});
  } else if (state.state == "Unknown" || state.state.empty()) {
    causes.push_back({Level::kWarning, "its program has not read yet what to do" + words,
                      "wait; if it lasts, " + log_of_node_program(world, ""), nothing});
  }
}

void add_lease_causes(const World& world, const plan::Group& group, const Json& node, Causes& causes) {
  if (!world.snapshot().leases.known()) return;
  const auto state = world.node_state(kube::metadata(node, "name"));
  if (!state) {
    causes.push_back(
        {Level::kProblem, fmt::format("it has no Lease: {} has not reported from there", kNodeDaemonSet), pods_of_node_program(world)});
    return;
  }
  if (state->is_stale()) {
    causes.push_back({is_ready_node(node) ? Level::kProblem : Level::kWarning,
                      "its Lease is stale: nothing repairs or changes its files now", pods_of_node_program(world), false});
  }
  add_state_causes(world, *state, causes);
  const auto wanted = world.wanted_node_hash(group.name);
  if (state->state == "Applied" && !wanted.empty() && state->applied_hash != wanted) {
    causes.push_back({Level::kWarning, "it has not applied the newest configuration yet",
                      "wait; if it lasts, " + log_of_node_program(world, ""), false});
  }
  if (state->drift > 0) {
    causes.push_back({Level::kWarning,
                      state->drift == 1 ? "a file there is not as it should be, and is left so"
                                        : "some files there are not as they should be, and are left so",
                      "its Events name them; remove the line \"# cistern: unmanaged\" to have them managed again", false});
  }
}

}  // namespace

bool is_ready_node(const Json& node) { return text(condition(node, "Ready"), {"status"}) == "True"; }

Causes runtime_causes(const World& world, const plan::Group& group, const Json& node) {
  Causes causes;
  const auto& settings = group.effective.settings;
  if (!is_ready_node(node)) causes.push_back({Level::kWarning, "the node is not Ready", "kubectl describe node", false});
  add_label_cause(world, group, node, causes);
  if (settings.registries.empty()) {
    causes.push_back({Level::kWarning, fmt::format("policy {} names no registry: images are pulled past the cache", group.policy),
                      "add spec.images.registries"});
    return causes;
  }
  if (settings.node_config.mode == model::NodeConfigMode::kOff) {
    causes.push_back({Level::kWarning,
                      fmt::format("nodeConfig.mode of policy {} is Off: its runtime is not told of the cache", group.policy),
                      "set it to Apply"});
    return causes;
  }
  if (world.snapshot().config_maps.known() && world.wanted_node_hash(group.name).empty()) {
    causes.push_back(
        {Level::kProblem,
         fmt::format("ConfigMap {}{}, which tells nodes what to do, is missing or can not be read", node::kConfigMapPrefix, group.name),
         "see the operator's log", false});
  }
  add_lease_causes(world, group, node, causes);
  if (settings.node_config.mode == model::NodeConfigMode::kReport) {
    causes.push_back(
        {Level::kWarning, fmt::format("nodeConfig.mode of policy {} is Report: nothing is written", group.policy), "set it to Apply"});
  }
  return causes;
}

Causes agent_causes(const World& world, const plan::Group& group, const std::string& node) {
  Causes causes;
  const auto& snapshot = world.snapshot();
  if (!snapshot.pods.known()) return causes;
  const Json* object = world.agent_on(node, group.name);
  if (object == nullptr) {
    return {{Level::kProblem, fmt::format("there is no agent: DaemonSet cistern-{} has no pod there", group.name),
             fmt::format("kubectl -n {} describe daemonset cistern-{}", world.ns(), group.name)}};
  }
  const auto pod = reconcile::agent_pod(*object);
  if (const auto why = why_not_ready(pod); !why.empty()) {
    return {{Level::kProblem, "its agent is not ready: " + why,
             fmt::format("kubectl -n {} describe pod {}", world.ns(),
                         group.nodes.size() == 1 ? pod.name : "-l cistern.dev/group=" + group.name)}};
  }
  const auto answer = snapshot.answers.find(kube::metadata(*object, "uid"));
  if (answer == snapshot.answers.end() || !answer->second) return causes;
  const auto wanted = world.wanted_agent_hash(group.policy, group.name);
  if (!wanted.empty() && answer->second->config_hash != wanted) {
    causes.push_back({Level::kWarning, "its agent works with another configuration than the newest",
                      "wait a minute; if it lasts, see the agent's log", false});
  }
  for (const auto& upstream : answer->second->upstreams) {
    if (upstream.state == "closed") continue;
    causes.push_back({Level::kWarning,
                      fmt::format("its agent does not ask upstream {} for now: {}", upstream.name, one_line(upstream.error)),
                      "see the upstream's URL, credentials and CA, and the node's way to it; what is cached is served on", false});
  }
  return causes;
}

Causes node_program_causes(const World& world, const std::string& node) {
  const auto& snapshot = world.snapshot();
  if (!snapshot.pods.known() || !snapshot.daemon_sets.known()) return {};
  if (snapshot.daemon_sets.find(kNodeDaemonSet) == nullptr) {
    return {{Level::kProblem, fmt::format("there is no DaemonSet {}: nobody configures runtimes", kNodeDaemonSet),
             "install or upgrade the chart with node.enabled=true", false}};
  }
  const Json* object = world.node_program_on(node);
  if (object == nullptr) {
    return {{Level::kProblem, fmt::format("DaemonSet {} has no pod there", kNodeDaemonSet),
             fmt::format("kubectl -n {} describe daemonset {}", world.ns(), kNodeDaemonSet), false}};
  }
  const auto why = why_not_ready(reconcile::agent_pod(*object));
  if (why.empty()) return {};
  return {
      {Level::kProblem, fmt::format("its pod of DaemonSet {} is not ready: {}", kNodeDaemonSet, why), pods_of_node_program(world), false}};
}

Causes webhook_causes(const World& world) {
  const auto& snapshot = world.snapshot();
  if (!snapshot.webhooks.known()) return {};
  const Json* webhook = world.webhook();
  if (webhook == nullptr) {
    return {{Level::kProblem,
             fmt::format("there is no MutatingWebhookConfiguration {}: no pod is told of the cache", reconcile::kWebhookName),
             "install or upgrade the chart with webhook.enabled=true"}};
  }
  Causes causes;
  if (text(*webhook, {"clientConfig", "caBundle"}).empty()) {
    causes.push_back({Level::kProblem, "the webhook's caBundle is empty: the API server does not trust it", "see the operator's log"});
  }
  const auto service = text(*webhook, {"clientConfig", "service", "name"});
  if (!service.empty() && world.ready_endpoints(service) == std::size_t{0}) {
    causes.push_back({Level::kProblem, fmt::format("nobody answers the webhook: Service {} has no ready endpoint", service),
                      fmt::format("kubectl -n {} get pods -l app.kubernetes.io/component=operator", world.ns())});
  }
  return causes;
}

}  // namespace cistern::inspect
