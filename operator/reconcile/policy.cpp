#include "operator/reconcile/policy.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "operator/reconcile/environment_maps.hpp"

namespace cistern::reconcile {
namespace {

constexpr milliseconds kDeletionPause{1000};
constexpr milliseconds kNodesPause{250};
constexpr std::size_t kNamed = 5;  // of what was left

std::string first_of(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < kNamed; ++i) add_word(text, items[i]);
  return items.size() > kNamed ? fmt::format("{} and {} more", text, items.size() - kNamed) : text;
}

}  // namespace

Result<Outcome> PolicyReconciler::reconcile(const std::string& name) {
  const Object live = newest(name);
  if (!live) return gone(name);
  const auto desired = state_.desired();
  const auto* entry = desired->policy(name);
  const std::string uid = kube::metadata(*live, "uid");
  // The planner has not seen this one yet; it leads back here.
  if (entry == nullptr || entry->uid != uid) return Outcome{};
  if (!kube::metadata(*live, "deletionTimestamp").empty()) return entry->deleting ? finalize(name, live) : Outcome{};
  if (!entry->guarded) {
    const auto guarded = set_finalizer(*live, name, true);
    if (guarded) return Outcome{.changed = *guarded ? "+finalizer" : ""};
    // Nothing is made without it, and only the status can tell why. Not of what passes, such as a conflict.
    if (is_refusal(guarded.error())) static_cast<void>(write_status(name, *desired, *entry, &guarded.error()));
    return fail(guarded.error());
  }
  Outcome outcome;
  std::optional<Error> trouble;
  if (entry->accepted) {
    auto made = make(name, *entry);
    if (made) {
      outcome.changed = std::move(*made);
    } else {
      trouble = made.error();
    }
  }
  auto status = write_status(name, *desired, *entry, trouble ? &*trouble : nullptr);
  if (!status) return status;
  if (trouble) return fail(*trouble);
  add_word(outcome.changed, status->changed);
  outcome.again = status->again;
  return outcome;
}

// The finalizer was taken away by somebody else, or this is what an earlier deletion left.
Result<Outcome> PolicyReconciler::gone(const std::string& name) {
  // An object of that name may be new, and not be planned yet.
  if (state_.desired()->policy(name) != nullptr) return Outcome{};
  auto removed = remove_all(name);
  if (!removed) return fail(removed.error());
  poller_.forget_policy(name);
  parts_.metrics.forget_policy(name);
  const std::lock_guard lock(mutex_);
  written_.erase(name);
  return Outcome{.changed = std::move(*removed)};
}

Result<bool> PolicyReconciler::set_finalizer(const Json& live, const std::string& name, bool present) {
  Json finalizers = live.at("metadata").value("finalizers", Json::array());
  const auto found = std::ranges::find(finalizers, Json(kFinalizer));
  if ((found != finalizers.end()) == present) return false;
  if (present) {
    finalizers.push_back(kFinalizer);
  } else {
    finalizers.erase(static_cast<std::size_t>(found - finalizers.begin()));
  }
  // A list is replaced as a whole: only if nobody has changed it meanwhile.
  Json metadata{{"finalizers", std::move(finalizers)}, {"resourceVersion", parts_.cluster.policies().resource_version({"", name})}};
  auto patched = parts_.client.merge_patch(kube::kMirrorPolicies, {"", name}, Json{{"metadata", std::move(metadata)}}, {});
  if (!patched && patched.error().code != ErrorCode::kNotFound) return fail(patched.error());
  return patched.has_value();
}

Result<std::string> PolicyReconciler::make(const std::string& name, const PolicyEntry& entry) {
  const auto& cluster = parts_.cluster;
  const auto objects = render::policy_objects(name, {name, entry.uid}, parts_.installation);
  std::string changed;
  for (const auto& [resource, object, cache] :
       {std::tuple(&kube::kConfigMaps, accepted_config_map(entry, cluster.ns()), &cluster.config_maps()),
        std::tuple(&kube::kServices, Json(objects.service), &cluster.services()),
        std::tuple(&kube::kNetworkPolicies, Json(objects.network_policy), &cluster.network_policies())}) {
    const auto key = kube::key_of(object);
    const auto written = applier_.apply(*resource, object, cache->get(key));
    if (!written) return fail(written.error());
    if (*written) add_word(changed, fmt::format("{}/{}", resource->kind, key.name));
  }
  return changed;
}

Result<std::string> PolicyReconciler::remove_all(const std::string& name) {
  std::string changed;
  std::optional<Error> first;  // one that may not be removed does not keep the others
  for (const auto& [resource, cache] : parts_.cluster.owned()) {
    for (const auto& object : cache.with_label(kByPolicy, name)) {
      const auto removed = applier_.remove(resource, object);
      if (!removed && !first) first = removed.error();
      if (removed && *removed) add_word(changed, fmt::format("-{}/{}", resource.kind, kube::metadata(*object, "name")));
    }
  }
  if (first) return fail(*first);
  return changed;
}

std::vector<std::string> PolicyReconciler::leftovers(const std::string& name) const {
  const auto& cluster = parts_.cluster;
  std::vector<std::string> left;
  for (const auto& [resource, cache] : cluster.owned()) {
    for (const auto& object : cache.with_label(kByPolicy, name)) {
      if (is_ours(*object)) left.push_back(fmt::format("{} {}", resource.kind, kube::metadata(*object, "name")));
    }
  }
  for (const auto& pod : cluster.pods().with_label(kByPolicy, name)) {
    const auto node = pod->at("spec").value("nodeName", "");
    left.push_back(fmt::format("Pod {} on node {}", kube::metadata(*pod, "name"), node.empty() ? "(none)" : node));
  }
  for (const auto& object : cluster.environment_maps().with_label(kByPolicy, name)) {
    const auto map = kube::metadata(*object, "name");
    if (is_ours(*object) && is_environment_map(map))
      left.push_back(fmt::format("ConfigMap {} in namespace {}", map, kube::metadata(*object, "namespace")));
  }
  // Labels that name no group of the plan are of policies that are going.
  const auto desired = state_.desired();
  for (const auto& group : cluster.nodes().label_values(kNodesByGroup)) {
    if (desired->group(group) != nullptr) continue;
    for (const auto& node : cluster.nodes().with_label(kNodesByGroup, group)) {
      left.push_back(fmt::format("the label of node {}", kube::metadata(*node, "name")));
    }
  }
  return left;
}

PolicyReconciler::NodesOfDeleted PolicyReconciler::nodes_of_deleted(const std::string& name) {
  NodesOfDeleted nodes;
  const auto desired = state_.desired();
  std::set<std::string> groups;
  for (const auto& set : parts_.cluster.daemon_sets().with_label(kByPolicy, name)) groups.insert(kube::label(*set, kByGroup));
  for (const auto& group : groups) {
    for (auto& node : leaving_.waiting(group)) nodes.waiting.push_back(std::move(node));
  }
  for (const auto& object : parts_.cluster.node_leases().all()) {
    auto lease = node_lease(*object);
    if (!lease.holds_something() || !groups.contains(lease.group) || !desired->group_of(lease.node).empty()) continue;
    if (std::ranges::find(nodes.waiting, lease.node) == nodes.waiting.end()) nodes.away.push_back(std::move(lease.node));
  }
  return nodes;
}

// Once.
void PolicyReconciler::tell_of_away(const Object& live, const std::string& uid, const std::vector<std::string>& away) {
  {
    const std::lock_guard lock(mutex_);
    if (!told_away_.insert(uid).second) return;
  }
  parts_.events.record(
      *live, kube::EventType::kWarning, "NodesNotRestored", "Delete",
      fmt::format("The node program did not say that it has put back the runtime's files on {}; it does so as soon as it runs "
                  "there again. By hand, on the node: cistern-operator node --restore",
                  first_of(away)));
  spdlog::warn("nodes not restored: policy={} nodes=\"{}\"", kube::metadata(*live, "name"), first_of(away));
}

Result<Outcome> PolicyReconciler::finalize(const std::string& name, const Object& live) {
  const std::string uid = kube::metadata(*live, "uid");
  // Measured here: the time in deletionTimestamp is another machine's.
  SteadyTime since;
  {
    const std::lock_guard lock(mutex_);
    since = deleting_since_.try_emplace(uid, parts_.clock.steady()).first->second;
  }
  const bool late = parts_.clock.steady() - since >= options_.cleanup_limit;
  // Labels and agents stay until runtimes ask no agent any more.
  if (const auto nodes = nodes_of_deleted(name); !nodes.waiting.empty() && !late) {
    return Outcome{.again = kNodesPause};
  } else if (!nodes.away.empty()) {
    tell_of_away(live, uid, nodes.away);
  }
  auto removed = remove_all(name);
  const auto left = leftovers(name);
  if (!left.empty() && !late) {
    if (!removed) return fail(removed.error());
    return Outcome{.changed = std::move(*removed), .again = kDeletionPause};
  }
  Outcome outcome{.changed = removed ? std::move(*removed) : std::string()};
  if (!left.empty()) {
    const auto note =
        fmt::format("Removed the policy after {} s although this is left: {}. Pods of a node that is gone go with its Node object.",
                    options_.cleanup_limit.count(), first_of(left));
    parts_.events.record(*live, kube::EventType::kWarning, "CleanupIncomplete", "Delete", note);
    spdlog::warn("cleanup incomplete: policy={} left=\"{}\"", name, first_of(left));
  }
  if (auto lifted = set_finalizer(*live, name, false); !lifted) return fail(lifted.error());
  add_word(outcome.changed, "-finalizer");
  poller_.forget_policy(name);
  parts_.metrics.forget_policy(name);
  const std::lock_guard lock(mutex_);
  deleting_since_.erase(uid);
  told_away_.erase(uid);
  troubled_.erase(name);
  written_.erase(name);
  return outcome;
}

// The cache may not have our last status yet; times in a status made from an older one would differ.
Object PolicyReconciler::newest(const std::string& name) {
  const auto& cache = parts_.cluster.policies();
  const auto version = cache.resource_version({"", name});
  Object live = cache.get({"", name});
  const std::lock_guard lock(mutex_);
  const auto written = written_.find(name);
  if (!live || written == written_.end()) return live;
  if (written->second.before != version) {
    written_.erase(written);
    return live;
  }
  auto copy = std::make_shared<Json>(*live);
  (*copy)["status"] = written->second.after->value("status", Json());
  return copy;
}

}  // namespace cistern::reconcile
