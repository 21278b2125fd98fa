#include "operator/reconcile/grants.hpp"

#include <algorithm>
#include <charconv>

namespace cistern::reconcile {
namespace {

// Tries after which a node counts as failed: the first may have met an agent that was being replaced.
constexpr unsigned kFailedTries = 3;

bool is_granted(const GroupNode& node, const std::string& hash) { return node.lease && node.lease->granted == hash; }

// Granted something else than it has.
bool has_former_grant(const GroupNode& node, const std::string& hash) {
  const auto& granted = node.lease->granted;
  return !granted.empty() && granted != "none" && granted != hash && granted != node.lease->applied_hash;
}

bool may_be_granted(const GroupNode& node, const std::string& hash) {
  if (!node.lease || node.away() || !node.agent_ready || is_granted(node, hash)) return false;
  const auto how = progress(*node.lease, hash);
  return how == NodeProgress::kWaiting || how == NodeProgress::kFailed;
}

Grants take_back(const std::vector<GroupNode>& nodes) {
  Grants result;
  for (const auto& node : nodes) {
    if (node.lease && !node.lease->granted.empty()) result.grants.push_back({node.name, ""});
  }
  return result;
}

}  // namespace

NodeProgress progress(const NodeLease& lease, const std::string& hash) {
  if (lease.applied_hash == hash) return NodeProgress::kConfigured;
  if (lease.state == "Invalid") return NodeProgress::kFailed;  // it could not read its configuration, so that it names none
  if (lease.config_hash != hash) return NodeProgress::kWaiting;
  if (lease.state == "Unsupported") return NodeProgress::kUnsupported;
  return lease.state == "Failed" && lease.failures >= kFailedTries ? NodeProgress::kFailed : NodeProgress::kWaiting;
}

NodeSetup node_setup(const GroupNode& node, model::NodeConfigMode mode, const std::string& hash) {
  NodeSetup setup;
  setup.node = node.name;
  setup.reachable = node.reachable;
  if (node.lease) {
    setup.its_turn = node.lease->granted == hash;
    setup.message = node.lease->message;
    setup.drift = node.lease->drift;
    setup.kept_in_fallback = node.lease->kept_in_fallback;
  }
  if (node.silent) {
    setup.state = NodeSetupState::kSilent;
  } else if (mode == model::NodeConfigMode::kOff) {
    setup.state = NodeSetupState::kOff;
  } else if (mode == model::NodeConfigMode::kReport) {
    setup.state = NodeSetupState::kReported;
  } else if (node.lease) {
    switch (progress(*node.lease, hash)) {
      case NodeProgress::kConfigured: setup.state = NodeSetupState::kConfigured; break;
      case NodeProgress::kWaiting: setup.state = NodeSetupState::kWaiting; break;
      case NodeProgress::kFailed: setup.state = NodeSetupState::kFailed; break;
      case NodeProgress::kUnsupported: setup.state = NodeSetupState::kUnsupported; break;
    }
  }
  return setup;
}

std::size_t nodes_at_once(const nlohmann::json& max_unavailable, std::size_t nodes) {
  std::size_t most = 0;
  if (max_unavailable.is_number_integer()) {
    most = static_cast<std::size_t>(std::max<std::int64_t>(0, max_unavailable.get<std::int64_t>()));
  } else if (max_unavailable.is_string()) {
    const auto& text = max_unavailable.get_ref<const std::string&>();
    std::size_t percent = 0;
    std::from_chars(text.data(), text.data() + text.size(), percent);
    most = (std::min<std::size_t>(percent, 100) * nodes + 99) / 100;
  }
  return std::max<std::size_t>(1, most);
}

Grants grants(const std::vector<GroupNode>& nodes, const std::string& hash, std::size_t at_once) {
  if (hash.empty()) return take_back(nodes);
  std::size_t changing = 0;
  std::size_t failed = 0;
  std::size_t succeeded = 0;
  std::vector<const GroupNode*> candidates;
  for (const auto& node : nodes) {
    if (!node.lease) continue;
    const auto how = progress(*node.lease, hash);
    succeeded += how == NodeProgress::kConfigured ? 1 : 0;
    if (is_granted(node, hash) && !node.away()) {
      failed += how == NodeProgress::kFailed ? 1 : 0;
      changing += how == NodeProgress::kWaiting && node.agent_ready ? 1 : 0;
    }
    if (may_be_granted(node, hash)) candidates.push_back(&node);
  }
  std::ranges::stable_sort(candidates, [&](const auto* a, const auto* b) {
    const bool first_of_a = has_former_grant(*a, hash);
    const bool first_of_b = has_former_grant(*b, hash);
    return first_of_a != first_of_b ? first_of_a : a->name < b->name;
  });
  Grants result;
  const auto places_of_failed = failed - std::min(failed, succeeded + 1);
  result.in_change = changing + places_of_failed;
  for (const auto* node : candidates) {
    if (result.in_change >= at_once) break;
    result.grants.push_back({node->name, hash});
    ++result.in_change;
  }
  result.held_by_failed = changing == 0 && result.grants.empty() && !candidates.empty();
  return result;
}

}  // namespace cistern::reconcile
