#include "operator/reconcile/node.hpp"

#include <algorithm>

#include "operator/node/config.hpp"

namespace cistern::reconcile {
namespace {

constexpr milliseconds kLetGoPause{1000};

// Whether a label that the plan does not know stays, because of the policy whose group it names.
bool stays(const Desired& desired, const Cluster& cluster, const std::string& group) {
  const auto objects = cluster.daemon_sets().with_label(kByGroup, group);
  return std::ranges::any_of(objects, [&](const Object& object) { return keeps_what_it_has(desired, kube::label(*object, kByPolicy)); });
}

}  // namespace

Result<Outcome> NodeReconciler::reconcile(const std::string& name) {
  const auto desired = state_.desired();
  const auto node = parts_.cluster.nodes().get({"", name});
  if (!node) {
    state_.set_node_error(name, nullptr);
    leaving_.forget(name);
    return Outcome{};
  }
  const std::string has = kube::label(*node, kNodesByGroup);
  const std::string& wanted = desired->group_of(name);
  std::string policy;
  if (const auto* group = desired->group(wanted)) policy = group->policy;
  const auto* entry = desired->policy(policy);
  if (entry != nullptr && !entry->guarded) return Outcome{};
  Json labels = Json::object();
  if (has != wanted && (!wanted.empty() || !stays(*desired, parts_.cluster, has)))
    labels[kNodesByGroup] = wanted.empty() ? Json() : Json(wanted);
  if (labels.empty() || !wanted.empty()) leaving_.forget(name);
  if (!labels.empty() && wanted.empty() && leaving_.waits(name)) return let_go(name);
  if (!kube::label(*node, kRestoreLabel).empty() && is_restored(name, *desired)) labels[std::string(kRestoreLabel)] = nullptr;
  if (labels.empty()) {
    if (state_.set_node_error(name, nullptr) && entry != nullptr) changed_(policy);
    return Outcome{};
  }
  const auto patched = parts_.client.merge_patch(kube::kNodes, {"", name}, Json{{"metadata", {{"labels", labels}}}}, {});
  if (!patched && patched.error().code != ErrorCode::kNotFound) {
    if (state_.set_node_error(name, &patched.error()) && entry != nullptr) changed_(policy);
    return fail(patched.error());
  }
  if (state_.set_node_error(name, nullptr) && entry != nullptr) changed_(policy);
  leaving_.forget(name);
  std::string changed;
  if (labels.contains(kNodesByGroup)) add_word(changed, fmt::format("group \"{}\" -> \"{}\"", has, wanted));
  if (labels.contains(kRestoreLabel)) add_word(changed, "-restore");
  return Outcome{.changed = std::move(changed)};
}

Result<Outcome> NodeReconciler::let_go(const std::string& name) {
  Outcome outcome{.again = kLetGoPause};  // a change of its Lease leads back here earlier
  const auto lease = lease_of(parts_.cluster, name);
  if (!lease || lease->granted == node::kLetGo) return outcome;
  const Json patch{{"metadata", {{"annotations", {{std::string(node::kGrantedAnnotation), node::kLetGo}}}}}};
  const auto patched = parts_.client.merge_patch(kube::kLeases, {parts_.cluster.ns(), node::lease_name(name)}, patch, {});
  if (!patched && patched.error().code != ErrorCode::kNotFound) return fail(patched.error());
  outcome.changed = "told to let go";
  return outcome;
}

bool NodeReconciler::is_restored(const std::string& name, const Desired& desired) const {
  const auto lease = lease_of(parts_.cluster, name);
  // A Lease of before the uninstallation says nothing of now.
  if (!lease || parts_.clock.steady() - parts_.cluster.heartbeats().last(name) >= node::kLeaseDuration) return false;
  if (!lease->holds_something()) return true;
  const auto group = state_.group(desired.group_of(name));
  return group && group->node_hash == lease->applied_hash;
}

}  // namespace cistern::reconcile
