#include "operator/reconcile/leaving.hpp"

#include "operator/node/config.hpp"

namespace cistern::reconcile {

std::optional<NodeLease> lease_of(const Cluster& cluster, const std::string& node) {
  const auto lease = cluster.node_leases().get({cluster.ns(), node::lease_name(node)});
  return lease ? std::optional(node_lease(*lease)) : std::nullopt;
}

bool Leaving::waits(const std::string& node) {
  const auto lease = lease_of(parts_.cluster, node);
  const auto now = parts_.clock.steady();
  if (!lease || !lease->holds_something() || now - parts_.cluster.heartbeats().last(node) >= options_.silence) return false;
  const std::lock_guard lock(mutex_);
  return now - since_.try_emplace(node, now).first->second < options_.limit;
}

std::vector<std::string> Leaving::waiting(const std::string& group) {
  const auto desired = state_.desired();
  std::vector<std::string> names;
  for (const auto& node : parts_.cluster.nodes().with_label(kNodesByGroup, group)) {
    auto name = kube::metadata(*node, "name");
    if (desired->group_of(name).empty() && waits(name)) names.push_back(std::move(name));
  }
  return names;
}

void Leaving::forget(const std::string& node) {
  const std::lock_guard lock(mutex_);
  since_.erase(node);
}

}  // namespace cistern::reconcile
