// Nodes, what runs on them, and their ports.
#include <algorithm>

#include "operator/inspect/causes.hpp"
#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::inspect {
namespace {

using reconcile::counted;

void add(const Causes& causes, const std::string& name, Grouped& grouped) {
  for (const auto& cause : causes) grouped.add(cause.level, name, cause.why, cause.todo);
}

// Calls `look` with each node of the plan that is there.
template <class Look>
std::size_t for_each_node(const World& world, const Look& look) {
  std::size_t count = 0;
  for (const auto& node : world.snapshot().nodes.items) {
    const auto name = kube::metadata(node, "name");
    const auto* group = world.desired().group(world.desired().group_of(name));
    if (group == nullptr) continue;
    ++count;
    look(node, name, *group);
  }
  return count;
}

void check_unowned(const World& world, Lines& lines) {
  Grouped grouped("nodes", "node");
  for (const auto& node : world.snapshot().nodes.items) {
    const auto name = kube::metadata(node, "name");
    if (!kube::label(node, reconcile::kRestoreLabel).empty()) {
      grouped.add(Level::kWarning, name, "away while an earlier Cistern was uninstalled; its files are still to be put back",
                  "wait for the restoring DaemonSet; once its files are as before the label goes");
    }
    if (world.selecting(labels_of(node), &model::Spec::node_selector).empty()) {
      grouped.add(Level::kWarning, name, "no policy selects it: it has no cache", "widen a policy's spec.nodeSelector, or label it");
    }
  }
  grouped.append_to(lines);
}

bool runtime_is_configured(const plan::Group& group) {
  return group.effective.settings.node_config.mode != model::NodeConfigMode::kOff && !group.effective.settings.registries.empty();
}

bool takes_runtime_port(const Json& pod) {
  for (const auto& container : at(pod, {"spec", "containers"})) {
    for (const auto& port : at(container, {"ports"})) {
      const auto address = text(port, {"hostIP"});
      const bool there = address.empty() || address == "0.0.0.0" || address == "127.0.0.1" || address == "::";
      if (there && number(port, {"hostPort"}) == render::kRuntimePort) return true;
    }
  }
  return false;
}

}  // namespace

Lines check_nodes(const World& world) {
  Lines lines;
  if (!world.snapshot().nodes.known() || !world.snapshot().policies.known()) return lines;
  if (world.policies().empty()) return lines;
  check_unowned(world, lines);
  Grouped grouped("nodes", "node");
  const auto count = for_each_node(world, [&](const Json& node, const std::string& name, const plan::Group& group) {
    add(runtime_causes(world, group, node), name, grouped);
  });
  if (grouped.empty() && count > 0) lines.push_back({Level::kOk, "nodes", counted(count, "node") + " as their policies say", ""});
  grouped.append_to(lines);
  return lines;
}

Lines check_node_program(const World& world) {
  Lines lines;
  const auto& snapshot = world.snapshot();
  if (!snapshot.nodes.known() || !snapshot.policies.known()) return lines;
  Grouped grouped(kNodeDaemonSet, "node");
  std::size_t count = 0;
  for_each_node(world, [&](const Json& node, const std::string& name, const plan::Group& group) {
    if (!runtime_is_configured(group) || !is_ready_node(node)) return;
    ++count;
    add(node_program_causes(world, name), name, grouped);
  });
  grouped.append_to(lines);
  if (count > 0 && grouped.empty() && snapshot.pods.known() && snapshot.daemon_sets.known()) {
    lines.push_back({Level::kOk, kNodeDaemonSet, "ready on " + counted(count, "node"), ""});
  }
  return lines;
}

Lines check_agents(const World& world) {
  Lines lines;
  const auto& snapshot = world.snapshot();
  if (!snapshot.nodes.known() || !snapshot.policies.known() || !snapshot.pods.known()) return lines;
  Grouped grouped("agents", "node");
  std::size_t count = 0;
  for_each_node(world, [&](const Json& node, const std::string& name, const plan::Group& group) {
    if (!is_ready_node(node)) return;
    ++count;
    add(agent_causes(world, group, name), name, grouped);
  });
  if (grouped.empty() && count > 0) lines.push_back({Level::kOk, "agents", "ready on " + counted(count, "node"), ""});
  grouped.append_to(lines);
  const bool answered = std::ranges::any_of(snapshot.answers, [](const auto& answer) { return answer.second.has_value(); });
  if (answered) {
    const auto silent = std::ranges::count_if(snapshot.answers, [](const auto& answer) { return !answer.second.has_value(); });
    if (silent > 0)
      lines.push_back({Level::kWarning, "agents", counted(silent, "agent") + " did not answer when asked",
                       "see a NetworkPolicy or firewall before port 5051"});
  } else if (!snapshot.answers.empty()) {
    lines.push_back({Level::kUnknown, "upstreams",
                     "agents can not be reached from here, only from within the cluster; what they say of upstreams is in the policies' "
                     "condition Degraded",
                     ""});
  }
  return lines;
}

Lines check_host_ports(const World& world) {
  Lines lines;
  if (!world.snapshot().all_pods.known()) return lines;
  Grouped grouped("host-port", "node");
  for (const auto& pod : world.snapshot().all_pods.items) {
    const auto phase = text(pod, {"status", "phase"});
    const auto node = text(pod, {"spec", "nodeName"});
    const bool over = phase == "Succeeded" || phase == "Failed";
    if (over || node.empty() || world.desired().group_of(node).empty() || !takes_runtime_port(pod)) continue;
    if (kube::metadata(pod, "namespace") == world.ns() && kube::label(pod, "app.kubernetes.io/component") == "agent") continue;
    const auto* group = world.desired().group(world.desired().group_of(node));
    const Json* agent = world.agent_on(node, group->name);
    const bool agent_runs = agent != nullptr && reconcile::agent_pod(*agent).ready;
    grouped.add(agent_runs ? Level::kWarning : Level::kProblem, node,
                fmt::format("pod {} has host port {}, which the agent needs", kube::key_of(pod).to_string(), render::kRuntimePort),
                "give that pod another port, or leave the node out by spec.nodeSelector");
  }
  if (grouped.empty() && !world.desired().plan.groups.empty())
    lines.push_back({Level::kOk, "host-port", fmt::format("no other pod has host port {}", render::kRuntimePort), ""});
  grouped.append_to(lines);
  return lines;
}

}  // namespace cistern::inspect
