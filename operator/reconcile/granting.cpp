#include "operator/reconcile/granting.hpp"

#include <set>

#include "operator/node/config.hpp"
#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::reconcile {
namespace {

constexpr std::chrono::seconds kCacheLag{10};  // after that what the cache says counts

}  // namespace

std::vector<GroupNode> group_nodes(const Cluster& cluster, const plan::Group& group, SteadyTime now, std::chrono::seconds silence) {
  std::set<std::string> with_agent;
  for (const auto& object : cluster.pods().with_label(kByGroup, group.name)) {
    if (auto pod = agent_pod(*object); pod.ready && !pod.terminating) with_agent.insert(std::move(pod.node));
  }
  std::vector<GroupNode> nodes;
  nodes.reserve(group.nodes.size());
  for (const auto& name : group.nodes) {
    GroupNode node;
    node.name = name;
    node.lease = lease_of(cluster, name);
    node.silent = now - cluster.heartbeats().last(name) >= silence;
    const auto object = cluster.nodes().get({"", name});
    node.reachable = object && is_reachable(*object);
    node.agent_ready = with_agent.contains(name);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

std::string hash_to_grant(const plan::Group& group, const std::string& node_hash) {
  return group.effective.settings.node_config.mode == model::NodeConfigMode::kApply ? node_hash : std::string();
}

Result<Outcome> GrantReconciler::reconcile(const std::string& name) {
  const auto desired = state_.desired();
  const auto* group = desired->group(name);
  const auto known = state_.group(name);
  if (group == nullptr || !known || known->node_hash.empty()) return Outcome{};  // its ConfigMap comes first, and leads back here
  auto nodes = group_nodes(parts_.cluster, *group, parts_.clock.steady(), silence_);
  overlay(nodes);
  const auto& settings = group->effective.settings.node_config;
  const auto decided = grants(nodes, hash_to_grant(*group, known->node_hash), nodes_at_once(settings.max_unavailable, nodes.size()));
  std::vector<std::string> changed;
  std::optional<Error> first;  // one Lease that may not be written does not keep the others
  for (const auto& grant : decided.grants) {
    const auto written = write(grant);
    if (!written && !first) first = written.error();
    if (written) changed.push_back(grant.node);
  }
  if (first) return fail(*first);
  if (changed.empty()) return Outcome{};
  return Outcome{.changed = fmt::format("granted \"{}\" to {}", decided.grants.front().hash, few(changed))};
}

void GrantReconciler::overlay(std::vector<GroupNode>& nodes) {
  const auto now = parts_.clock.steady();
  const std::lock_guard lock(mutex_);
  if (written_.empty()) return;
  for (auto& node : nodes) {
    const auto found = written_.find(node.name);
    if (found == written_.end()) continue;
    if (!node.lease || node.lease->granted == found->second.hash || now - found->second.at >= kCacheLag) {
      written_.erase(found);
    } else {
      node.lease->granted = found->second.hash;
    }
  }
}

Result<void> GrantReconciler::write(const Grants::Grant& grant) {
  const Json value = grant.hash.empty() ? Json() : Json(grant.hash);
  const Json patch{{"metadata", {{"annotations", {{std::string(node::kGrantedAnnotation), value}}}}}};
  const auto patched = parts_.client.merge_patch(kube::kLeases, {parts_.cluster.ns(), node::lease_name(grant.node)}, patch, {});
  if (!patched) return patched.error().code == ErrorCode::kNotFound ? Result<void>() : fail(patched.error());
  const std::lock_guard lock(mutex_);
  written_.insert_or_assign(grant.node, Written{grant.hash, parts_.clock.steady()});
  return {};
}

}  // namespace cistern::reconcile
