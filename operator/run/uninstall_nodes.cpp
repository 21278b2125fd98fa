#include <algorithm>
#include <set>

#include "operator/node/config.hpp"
#include "operator/reconcile/cluster.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/run/uninstall_steps.hpp"

namespace cistern::run {
namespace {

using kube::Json;
using reconcile::NodeLease;

constexpr double kForNodes = 0.4;      // of all the time: until nodes have put their files back
constexpr double kForPrograms = 0.85;  // until the node programs have ended
constexpr const char* kNodePrograms = "app.kubernetes.io/name=cistern,app.kubernetes.io/component=node";

// Nodes on which something of ours is in force. `heard`: only those whose program was heard of lately.
std::vector<std::string> holding(UninstallSteps& steps, bool heard) {
  std::vector<std::string> nodes;
  const auto leases = steps.client().list(kube::kLeases, {steps.settings().ns, reconcile::kNodeLeases, ""});
  if (!leases) return {fmt::format("(unknown: {})", leases.error().message)};
  for (const auto& object : leases->value("items", Json::array())) {
    const auto lease = reconcile::node_lease(object);
    if (!lease.holds_something()) continue;
    const auto renewed = reconcile::renewed_at(object);
    if (heard && (!renewed || steps.clock().wall() - *renewed >= node::kLeaseDuration)) continue;
    nodes.push_back(lease.node);
  }
  std::ranges::sort(nodes);
  return nodes;
}

void label_node(UninstallSteps& steps, const std::string& node, std::string_view label, const Json& value) {
  steps.write(fmt::format("label {} of node {}", label, node), [&] {
    return steps.client().merge_patch(kube::kNodes, {"", node}, Json{{"metadata", {{"labels", {{std::string(label), value}}}}}}, {});
  });
}

}  // namespace

void restore_nodes(UninstallSteps& steps) {
  const kube::ObjectKey key{steps.settings().ns, std::string(node::kUninstallConfigMap)};
  const bool told = steps.write("ConfigMap " + key.to_string(), [&]() -> Result<void> {
    const auto made = steps.client().create(
        kube::kConfigMaps, Json{{"metadata",
                                 {{"name", key.name},
                                  {"namespace", key.ns},
                                  {"labels", {{"app.kubernetes.io/name", "cistern"}, {"app.kubernetes.io/managed-by", "cistern"}}}}}});
    if (made || made.error().code == ErrorCode::kConflict) return {};
    return fail(made.error());
  });
  if (!told) return;
  const auto all = holding(steps, false);
  // Where no program runs there is nobody to wait for.
  const bool any = !all.empty() && !steps.pods(kNodePrograms).empty();
  if (any) steps.say(fmt::format("nodes: {} put their files back", all.size()));
  const auto left = any ? steps.wait_until_gone(kForNodes, "nodes", [&] { return holding(steps, true); }) : std::vector<std::string>();
  if (left.empty() && holding(steps, false).empty()) steps.say("nodes: every file is as it was before");
  // As soon as it is known, so that nobody forgets them whatever comes next.
  for (const auto& node : holding(steps, false)) label_node(steps, node, reconcile::kRestoreLabel, "true");
}

void remove_node_programs(UninstallSteps& steps) {
  for (const char* name : {"cistern-node", "cistern-node-restore"}) {
    const kube::ObjectKey key{steps.settings().ns, name};
    steps.write("DaemonSet " + key.to_string(), [&] { return steps.client().remove(kube::kDaemonSets, key); });
  }
  const auto left = steps.wait_until_gone(kForPrograms, "node programs", [&] { return steps.pods(kNodePrograms); });
  if (left.empty()) steps.say("node programs: all ended");
  for (const auto& pod : left) steps.say(fmt::format("node program {} has not ended; it puts files back when its node answers", pod));
}

void forget_nodes(UninstallSteps& steps) {
  const auto away = holding(steps, false);
  const std::set<std::string> is_away(away.begin(), away.end());
  const auto grouped = steps.list(kube::kNodes, {"", std::string(render::kGroupLabel), ""}, "list nodes");
  for (const auto& node : grouped) label_node(steps, kube::metadata(node, "name"), render::kGroupLabel, nullptr);
  steps.say(fmt::format("nodes: {} labels removed", grouped.size()));
  for (const auto& node : steps.list(kube::kNodes, {"", std::string(reconcile::kRestoreLabel), ""}, "list nodes")) {
    const auto name = kube::metadata(node, "name");
    if (!is_away.contains(name)) label_node(steps, name, reconcile::kRestoreLabel, nullptr);
  }
  for (const auto& lease : steps.list(kube::kLeases, {steps.settings().ns, reconcile::kNodeLeases, ""}, "list node Leases")) {
    if (is_away.contains(reconcile::node_lease(lease).node)) continue;  // a later installation reads what is left there
    const auto key = kube::key_of(lease);
    steps.write("Lease " + key.to_string(), [&] { return steps.client().remove(kube::kLeases, key); });
  }
  for (const auto& node : away) {
    steps.say(fmt::format(
        "node {} was away and still has files of ours. It keeps the label {}: a later installation puts them back; or, on the node: "
        "cistern-operator node --restore",
        node, reconcile::kRestoreLabel));
  }
  const kube::ObjectKey key{steps.settings().ns, std::string(node::kUninstallConfigMap)};
  steps.write("ConfigMap " + key.to_string(), [&] { return steps.client().remove(kube::kConfigMaps, key); });
}

}  // namespace cistern::run
