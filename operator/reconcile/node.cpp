#include "operator/reconcile/node.hpp"

#include <algorithm>

namespace cistern::reconcile {
namespace {

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
    return Outcome{};
  }
  const std::string has = kube::label(*node, kNodesByGroup);
  const std::string& wanted = desired->group_of(name);
  std::string policy;
  if (const auto* group = desired->group(wanted)) policy = group->policy;
  const auto* entry = desired->policy(policy);
  if (entry != nullptr && !entry->guarded) return Outcome{};
  if (has == wanted || (wanted.empty() && stays(*desired, parts_.cluster, has))) {
    if (state_.set_node_error(name, nullptr) && entry != nullptr) changed_(policy);
    return Outcome{};
  }
  const Json value = wanted.empty() ? Json() : Json(wanted);
  const auto patched = parts_.client.merge_patch(kube::kNodes, {"", name}, Json{{"metadata", {{"labels", {{kNodesByGroup, value}}}}}}, {});
  if (!patched && patched.error().code != ErrorCode::kNotFound) {
    if (state_.set_node_error(name, &patched.error()) && entry != nullptr) changed_(policy);
    return fail(patched.error());
  }
  if (state_.set_node_error(name, nullptr) && entry != nullptr) changed_(policy);
  return Outcome{.changed = fmt::format("group \"{}\" -> \"{}\"", has, wanted)};
}

}  // namespace cistern::reconcile
