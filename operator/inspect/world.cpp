#include "operator/inspect/world.hpp"

#include <algorithm>
#include <cstdlib>

#include "operator/node/config.hpp"
#include "operator/node/lease.hpp"
#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/pod_rules.hpp"

namespace cistern::inspect {
namespace {

using reconcile::Object;

constexpr std::chrono::seconds kLeaderLeaseIsStale{60};  // renewed every two seconds, lost after 15

std::vector<Object> objects(const Listed& list) {
  std::vector<Object> made;
  made.reserve(list.items.size());
  for (const auto& item : list.items) made.push_back(std::make_shared<const Json>(item));
  return made;
}

std::shared_ptr<const reconcile::Desired> make_desired(const Snapshot& snapshot) {
  const reconcile::PlanInput input{objects(snapshot.policies), objects(snapshot.nodes), objects(snapshot.namespaces),
                                   [&](const std::string& name) -> Object {
                                     const Json* found = snapshot.config_maps.find(name);
                                     return found == nullptr ? nullptr : std::make_shared<const Json>(*found);
                                   }};
  return reconcile::make_desired({}, input, snapshot.ns);
}

admission::Rules make_rules(const Snapshot& snapshot, const reconcile::Desired& desired) {
  auto ready = reconcile::ready_policies(objects(snapshot.endpoint_slices));
  // Where endpoints can not be read nobody is accused of having none.
  if (!snapshot.endpoint_slices.known()) {
    for (const auto& [name, entry] : desired.policies) ready.insert(name);
  }
  return reconcile::make_pod_rules(desired, objects(snapshot.namespaces), std::move(ready), snapshot.ns);
}

bool is_owned_by(const Json& pod, std::string_view daemon_set) {
  const Json& owners = at(pod, {"metadata", "ownerReferences"});
  return std::ranges::any_of(
      owners, [&](const Json& owner) { return text(owner, {"kind"}) == "DaemonSet" && text(owner, {"name"}) == daemon_set; });
}

bool is_going(const Json& pod) { return !kube::metadata(pod, "deletionTimestamp").empty(); }

bool is_ready(const Json& endpoint) {
  const Json& ready = at(endpoint, {"conditions", "ready"});
  return !ready.is_boolean() || ready.get<bool>();
}

}  // namespace

World::World(const Snapshot& snapshot) : snapshot_(snapshot), now_(snapshot.now), desired_(make_desired(snapshot)) {
  for (const auto& [name, entry] : desired_->policies) {
    if (!entry.deleting && entry.accepted) ranked_.push_back(&entry.accepted->policy);
  }
  std::ranges::sort(ranked_, [](const auto* a, const auto* b) { return plan::wins(*a, *b); });
  rules_ = make_rules(snapshot, *desired_);
  for (const auto& lease : snapshot.leases.items) {
    leases_.emplace(kube::metadata(lease, "name"), &lease);
    if (const auto renewed = reconcile::renewed_at(lease)) now_ = std::max(now_, *renewed);
  }
  const auto keep = [](const Json*& kept, const Json& pod) {
    if (kept == nullptr || is_going(*kept)) kept = &pod;
  };
  for (const auto* pod : agents()) keep(agents_[{reconcile::agent_pod(*pod).node, kube::label(*pod, render::kGroupOfObject)}], *pod);
  for (const auto& pod : snapshot.pods.items) {
    if (is_owned_by(pod, kNodeDaemonSet)) keep(programs_[reconcile::agent_pod(pod).node], pod);
  }
  for (const auto& map : snapshot.config_maps.items) {
    const auto name = kube::metadata(map, "name");
    if (!name.starts_with(node::kConfigMapPrefix)) continue;
    const auto config = node::parse_config(text(map, {"data", node::kConfigKey}));
    if (config) node_hashes_[name.substr(node::kConfigMapPrefix.size())] = config->hash;
  }
}

std::vector<const model::Policy*> World::selecting(const std::map<std::string, std::string>& labels,
                                                   model::LabelSelector model::Spec::*selector) const {
  std::vector<const model::Policy*> found;
  for (const auto* policy : ranked_) {
    if (plan::selects(policy->spec.*selector, labels)) found.push_back(policy);
  }
  return found;
}

std::optional<NodeState> World::node_state(const std::string& node) const {
  const auto found = leases_.find(node::lease_name(node));
  if (found == leases_.end()) return std::nullopt;
  const Json* lease = found->second;
  NodeState state{reconcile::node_lease(*lease),
                  kube::annotation(*lease, "cistern.dev/runtime"),
                  kube::annotation(*lease, "cistern.dev/agent-version"),
                  std::strtoul(kube::annotation(*lease, "cistern.dev/repairs").c_str(), nullptr, 10),
                  {},
                  {}};
  state.duration = std::chrono::seconds(number(*lease, {"spec", "leaseDurationSeconds"}));
  if (const auto renewed = reconcile::renewed_at(*lease)) state.age = age_of(*renewed);
  return state;
}

std::string World::wanted_node_hash(const std::string& group) const {
  const auto found = node_hashes_.find(group);
  return found == node_hashes_.end() ? "" : found->second;
}

std::string World::wanted_agent_hash(const std::string& policy, const std::string& group) const {
  const Json* object = snapshot_.policies.find(policy);
  if (object == nullptr) return "";
  for (const auto& one : at(*object, {"status", "groups"})) {
    if (text(one, {"name"}) == group) return text(one, {"configHash"});
  }
  return "";
}

const Json* World::agent_on(const std::string& node, const std::string& group) const {
  const auto found = agents_.find({node, group});
  return found == agents_.end() ? nullptr : found->second;
}

const Json* World::node_program_on(const std::string& node) const {
  const auto found = programs_.find(node);
  return found == programs_.end() ? nullptr : found->second;
}

std::vector<const Json*> World::agents() const {
  std::vector<const Json*> found;
  for (const auto& pod : snapshot_.pods.items) {
    if (kube::label(pod, "app.kubernetes.io/component") == "agent" && !kube::label(pod, render::kGroupOfObject).empty()) {
      found.push_back(&pod);
    }
  }
  return found;
}

std::optional<std::size_t> World::ready_endpoints(const std::string& service) const {
  if (!snapshot_.endpoint_slices.known()) return std::nullopt;
  std::size_t count = 0;
  for (const auto& slice : snapshot_.endpoint_slices.items) {
    if (kube::label(slice, "kubernetes.io/service-name") != service) continue;
    const Json& endpoints = at(slice, {"endpoints"});
    count += static_cast<std::size_t>(std::ranges::count_if(endpoints, is_ready));
  }
  return count;
}

std::string World::why_no_leader() const {
  if (snapshot_.deployments.known() && snapshot_.deployments.find(kOperatorDeployment) == nullptr) {
    return fmt::format("there is no Deployment {} in namespace {}", kOperatorDeployment, ns());
  }
  if (!snapshot_.leases.known()) return "";
  const Json* lease = snapshot_.leases.find(kLeaderLease);
  const auto renewed = lease == nullptr ? std::nullopt : reconcile::renewed_at(*lease);
  if (!renewed || text(*lease, {"spec", "holderIdentity"}).empty()) return "no replica of the operator leads";
  const auto age = age_of(*renewed);
  if (age <= kLeaderLeaseIsStale) return "";
  return fmt::format("the operator's leader, {}, has not been heard for {} by this machine's clock",
                     text(*lease, {"spec", "holderIdentity"}), age_in_words(age));
}

bool World::is_uninstalling() const { return snapshot_.config_maps.find(node::kUninstallConfigMap) != nullptr; }

const Json* World::webhook() const {
  if (snapshot_.webhooks.items.empty()) return nullptr;
  const Json& all = at(snapshot_.webhooks.items.front(), {"webhooks"});
  return all.is_array() && !all.empty() ? &all.front() : nullptr;
}

std::string why_first(const model::Policy& winner, const model::Policy& loser) {
  if (winner.spec.priority != loser.spec.priority) {
    return fmt::format("priority {} over {}", winner.spec.priority, loser.spec.priority);
  }
  const auto& mine = winner.metadata.creation_timestamp;
  const auto& other = loser.metadata.creation_timestamp;
  if (mine != other) return fmt::format("both of priority {}, and it is older", winner.spec.priority);
  return fmt::format("both of priority {} and of the same age, and its name comes first", winner.spec.priority);
}

std::string why_webhook_is_not_asked(const Json& webhook, const std::map<std::string, std::string>& namespace_labels,
                                     const std::map<std::string, std::string>& pod_labels) {
  const auto namespaces = selector_of(at(webhook, {"namespaceSelector"}));
  if (!plan::selects(namespaces, namespace_labels)) {
    return fmt::format("its namespaceSelector ({}) leaves the namespace out", in_words(namespaces));
  }
  const auto pods = selector_of(at(webhook, {"objectSelector"}));
  if (!plan::selects(pods, pod_labels)) return fmt::format("its objectSelector ({}) leaves the pod out", in_words(pods));
  return "";
}

std::string age_in_words(std::chrono::seconds age) {
  const auto seconds = age.count();
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

}  // namespace cistern::inspect
