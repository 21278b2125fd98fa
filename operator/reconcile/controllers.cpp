#include "operator/reconcile/controllers.hpp"

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <spdlog/spdlog.h>

#include "operator/node/config.hpp"
#include "operator/reconcile/pod_rules.hpp"

namespace cistern::reconcile {
namespace {

const std::string kPlanItem = "cluster";
const std::string kEndpointsItem = "endpoints";
const std::string kCertificateItem = "certificate";
const std::string kAcceptedPrefix = "cistern-accepted-";

// So that what one write sets off is looked at once, with caches that have caught up.
constexpr milliseconds kOwnPause{20};
constexpr milliseconds kPodPause{200};
constexpr milliseconds kTotalsPause{15000};
constexpr milliseconds kSyncPause{20};

Json part(const Object& object, const char* name) {
  if (!object) return {};
  const auto found = object->find(name);
  return found == object->end() ? Json() : *found;
}

Json labels_in(const Object& object, std::string_view without = {}) {
  Json all = part(object, "metadata").value("labels", Json::object());
  if (!without.empty()) all.erase(std::string(without));
  return all;
}

ControllersOptions completed(ControllersOptions options) {
  options.policy.injects = options.webhook.enabled;
  return options;
}

// True: stop was asked for.
bool wait_or_stop(const std::stop_token& stop, milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  return wake.wait_for(lock, stop, time, [&] { return stop.stop_requested(); });
}

}  // namespace

Controllers::Controllers(kube::Client& client, const Clock& clock, kube::EventRecorder& events, Metrics& metrics, AgentProbe& probe,
                         render::Installation installation, ControllersOptions options)
    : options_(completed(std::move(options))),
      metrics_(metrics),
      cluster_(client, clock, installation.ns,
               [this](const auto& resource, const auto& before, const auto& after) { changed(resource, before, after); }),
      parts_{client, clock, cluster_, events, metrics, std::move(installation)},
      applier_(client),
      poller_(probe, clock, cluster_, state_,
              [this](const std::string& policy, bool soon) { wake_policy(policy, soon ? milliseconds(0) : kTotalsPause); }),
      // Half of what a policy's deletion may take: agents have to go afterwards.
      leaving_(parts_, state_, {.limit = options_.policy.cleanup_limit / 2, .silence = options_.policy.silence}),
      grant_reconciler_(parts_, state_, options_.policy.silence),
      group_reconciler_(parts_, state_, applier_, leaving_, [this](const std::string& policy) { wake_policy(policy, milliseconds(0)); }),
      policy_reconciler_(parts_, state_, applier_, poller_, leaving_, options_.policy),
      node_reconciler_(parts_, state_, leaving_, [this](const std::string& policy) { wake_policy(policy, kPodPause); }),
      pod_reconciler_(parts_),
      environment_map_reconciler_(parts_, state_, applier_, [this](const std::string& policy) { wake_policy(policy, milliseconds(0)); }),
      webhook_reconciler_(parts_, state_, options_.webhook,
                          [this] {
                            for (const auto& [name, entry] : state_.desired()->policies) wake_policy(name, milliseconds(0));
                          }),
      plans_("plan", 1, clock, metrics, [this](const std::string& item) { return follow(item); }),
      groups_("group", 4, clock, metrics,
              [this](const std::string& name) {
                auto done = group_reconciler_.reconcile(name);
                grants_.queue().add(name);  // its nodes may have got another configuration
                return done;
              }),
      policies_("policy", 2, clock, metrics, [this](const std::string& name) { return policy_reconciler_.reconcile(name); }),
      nodes_("node", 8, clock, metrics, [this](const std::string& name) { return node_reconciler_.reconcile(name); }),
      pods_("pods", 4, clock, metrics, [this](const std::string& name) { return pod_reconciler_.reconcile(name); }),
      namespaces_("namespace", 4, clock, metrics, [this](const std::string& name) { return environment_map_reconciler_.reconcile(name); }),
      webhooks_("webhook", 1, clock, metrics, [this](const std::string&) { return webhook_reconciler_.reconcile(); }),
      grants_("grants", 2, clock, metrics, [this](const std::string& name) { return grant_reconciler_.reconcile(name); }) {}

Controllers::~Controllers() { stop(); }

void Controllers::start() {
  cluster_.start();
  plans_.queue().add(kPlanItem);
  plans_.queue().add(kCertificateItem);
  plans_.start();
}

void Controllers::stop() {
  cluster_.stop();
  plans_.stop();
}

// Those that work while this replica leads.
std::vector<Controller*> Controllers::controllers() { return {&groups_, &policies_, &nodes_, &pods_, &namespaces_, &webhooks_, &grants_}; }

void Controllers::lead(const std::stop_token& stop) {
  while (!cluster_.has_synced()) {
    if (wait_or_stop(stop, kSyncPause)) return;
  }
  permit_agents();
  end_uninstallation();
  look_at_system_pods();
  policy_reconciler_.begin();
  leading_ = true;
  plan();
  resync();
  for (auto* controller : controllers()) controller->start();
  poller_.start();
  auto resync_at = parts_.clock.steady() + options_.resync;
  while (!wait_or_stop(stop, std::min(options_.resync, options_.heartbeat_check))) {
    check_heartbeats();
    if (parts_.clock.steady() < resync_at) continue;
    resync_at = parts_.clock.steady() + options_.resync;
    permit_agents();
    resync();
    metrics_.resynced();
  }
  leading_ = false;
  poller_.stop();
  for (auto* controller : controllers()) controller->queue().stop();
  for (auto* controller : controllers()) controller->stop();
}

void Controllers::resync() {
  if (!leading_) return;
  const auto desired = state_.desired();
  std::set<std::string> groups, policies, namespaces;
  for (const auto& group : desired->plan.groups) groups.insert(group.name);
  for (const auto& [name, entry] : desired->policies) policies.insert(name);
  for (const auto& [resource, cache] : cluster_.owned()) {
    for (auto& name : cache.label_values(kByGroup)) groups.insert(std::move(name));
    for (auto& name : cache.label_values(kByPolicy)) policies.insert(std::move(name));
  }
  for (const auto& object : cluster_.environment_maps().all()) namespaces.insert(kube::metadata(*object, "namespace"));
  for (const auto& object : cluster_.namespaces().all()) namespaces.insert(kube::metadata(*object, "name"));
  plans_.queue().add(kPlanItem);
  webhooks_.queue().add(kWebhookName);
  for (const auto& name : namespaces) namespaces_.queue().add(name);
  for (const auto& name : groups) groups_.queue().add(name);  // leads to its grants
  for (const auto& name : policies) policies_.queue().add(name);
  for (const auto& node : cluster_.nodes().all()) nodes_.queue().add(kube::metadata(*node, "name"));
  for (const auto& pod : cluster_.pods().all()) pods_.queue().add(kube::metadata(*pod, "name"));
}

void Controllers::check_heartbeats() {
  if (!parts_.installation.node_program) return;
  const auto desired = state_.desired();
  const auto now = parts_.clock.steady();
  std::set<std::string> silent;
  for (const auto& [node, group] : desired->plan.group_of_node) {
    if (now - cluster_.heartbeats().last(node) >= options_.policy.silence) silent.insert(node);
  }
  if (silent == silent_nodes_) return;
  std::set<std::string> groups;
  for (const auto* some : {&silent, &silent_nodes_}) {
    for (const auto& node : *some) {
      if (silent.contains(node) != silent_nodes_.contains(node)) groups.insert(desired->group_of(node));
    }
  }
  silent_nodes_ = std::move(silent);
  for (const auto& name : groups) {
    const auto* group = desired->group(name);
    if (group == nullptr) continue;
    grants_.queue().add(name);
    wake_policy(group->policy, milliseconds(0));
  }
}

void Controllers::end_uninstallation() {
  const kube::ObjectKey key{cluster_.ns(), std::string(node::kUninstallConfigMap)};
  if (!cluster_.config_maps().get(key)) return;
  const auto removed = parts_.client.remove(kube::kConfigMaps, key);
  if (!removed && removed.error().code != ErrorCode::kNotFound) {
    spdlog::error("ConfigMap {} stays, and nodes restore while it is there: {}; delete it", key.to_string(), removed.error().message);
  } else {
    spdlog::info("a former uninstallation is over: ConfigMap {} is gone", key.to_string());
  }
}

void Controllers::look_at_system_pods() {
  std::set<std::string> registries;
  for (const auto& pod : cluster_.system_pods().all()) {
    for (const auto& name : pod->value("registries", Json::array())) registries.insert(name.get<std::string>());
  }
  if (!state_.set_always_fallback(std::move(registries))) return;
  for (const auto& group : state_.desired()->plan.groups) groups_.queue().add(group.name);
}

bool Controllers::idle() {
  for (auto* controller : controllers()) {
    if (controller != &webhooks_ && !controller->queue().idle()) return false;
  }
  return plans_.queue().idle();
}

// A storm of changes is planned again and again; that must not take more than half of a core.
void Controllers::wake_plan() { plans_.queue().add_after(kPlanItem, std::max(options_.debounce, plan_took_.load())); }

Result<Outcome> Controllers::follow(const std::string& item) {
  if (!cluster_.has_synced()) return Outcome{.again = kSyncPause};
  if (item == kCertificateItem) return webhook_reconciler_.serve_certificate();
  return item == kEndpointsItem ? look_at_endpoints() : plan();
}

Result<Outcome> Controllers::plan() {
  const std::lock_guard lock(planning_);
  const auto begun = parts_.clock.steady();
  const PlanInput input{cluster_.policies().all(), cluster_.nodes().all(), cluster_.namespaces().all(),
                        [this](const std::string& name) {
                          return cluster_.config_maps().get({cluster_.ns(), name});
                        },
                        !leading_};
  if (leading_) look_at_system_pods();
  const auto before = state_.desired();
  const auto after = make_desired(*before, input, cluster_.ns());
  const auto told = state_.rules();
  const auto rules = make_rules(*after, input.namespaces);
  state_.set_desired(after);
  state_.set_rules(rules);
  webhook_reconciler_.serve(rules);
  if (leading_) {
    const auto changed = changes(*before, *after);
    // Labels first: a node that moves is given up by one group and taken by the other at once.
    for (const auto& name : changed.nodes) nodes_.queue().add(name);
    for (const auto& name : changed.groups) groups_.queue().add(name);
    for (const auto& name : changed.policies) policies_.queue().add(name);
    wake_namespaces(*before, *after, told.get(), *rules);
  }
  plan_took_ = std::chrono::ceil<milliseconds>(parts_.clock.steady() - begun);
  return Outcome{};
}

// Nobody is injected where the webhook is off, and what there is for it goes.
std::shared_ptr<const admission::Rules> Controllers::make_rules(const Desired& desired, const std::vector<Object>& namespaces) const {
  auto rules = std::make_shared<admission::Rules>();
  rules->own_namespace = cluster_.ns();
  if (options_.webhook.enabled) {
    *rules = make_pod_rules(desired, namespaces, ready_policies(cluster_.endpoint_slices().all()), cluster_.ns());
  }
  return rules;
}

void Controllers::wake_namespaces(const Desired& before, const Desired& after, const admission::Rules* told,
                                  const admission::Rules& rules) {
  auto names = changed_namespaces(told == nullptr ? admission::Rules() : *told, rules);
  // Nothing is written for a policy until it has its finalizer.
  for (const auto& [ns, planned] : rules.namespaces) {
    const auto* was = before.policy(planned.policy);
    const auto* is = after.policy(planned.policy);
    if (is != nullptr && is->guarded && (was == nullptr || !was->guarded || was->uid != is->uid)) names.insert(ns);
  }
  for (const auto& name : names) namespaces_.queue().add(name);
}

Result<Outcome> Controllers::look_at_endpoints() {
  const std::lock_guard lock(planning_);
  const auto rules = state_.rules();
  if (!rules || !options_.webhook.enabled) return Outcome{};
  auto ready = ready_policies(cluster_.endpoint_slices().all());
  if (ready == rules->ready) return Outcome{};
  auto next = std::make_shared<admission::Rules>(*rules);
  next->ready = std::move(ready);
  state_.set_rules(next);
  webhook_reconciler_.serve(next);
  return Outcome{};
}

void Controllers::permit_agents() {
  if (options_.namespace_pod_security.empty()) return;
  const auto ns = cluster_.namespaces().get({"", cluster_.ns()});
  if (!ns || kube::label(*ns, kPodSecurity) == options_.namespace_pod_security) return;
  const Json metadata{{"labels", {{std::string(kPodSecurity), options_.namespace_pod_security}}},
                      {"annotations", {{std::string(kFormerPodSecurity), kube::label(*ns, kPodSecurity)}}}};
  const auto patched = parts_.client.merge_patch(kube::kNamespaces, {"", cluster_.ns()}, Json{{"metadata", metadata}}, {});
  if (patched) {
    spdlog::info("namespace labelled: name={} {}={}", cluster_.ns(), kPodSecurity, options_.namespace_pod_security);
  } else {
    spdlog::warn("the namespace's pod security was not set; agents may be refused: {}", patched.error().message);
  }
}

void Controllers::wake_policy(const std::string& name, milliseconds delay) {
  if (leading_) policies_.queue().add_after(name, delay);
}

void Controllers::changed(const kube::Resource& resource, const Object& before, const Object& after) {
  const auto& object = after ? after : before;
  const auto name = kube::metadata(*object, "name");
  const auto ns = kube::metadata(*object, "namespace");
  if (resource == kube::kMirrorPolicies) return policy_changed(before, after);
  if (resource == kube::kNodes) return node_changed(before, after);
  if (resource == kube::kNamespaces) return namespace_changed(before, after);
  if (resource == kube::kEndpointSlices) return endpoints_changed(before, after);
  if (resource == kube::kSecrets && name == kWebhookSecret) plans_.queue().add(kCertificateItem);
  if (!leading_) {
    // What the leader has accepted is in force here too.
    if (resource == kube::kConfigMaps && ns == cluster_.ns() && name.starts_with(kAcceptedPrefix)) wake_plan();
    return;
  }
  if (resource == kube::kPods) return pod_changed(before, after);
  if (resource == kube::kLeases) return lease_changed(before, after);
  if (resource == kube::kCoreEvents) return pods_refused(after);
  if (resource == kube::kConfigMaps && ns != cluster_.ns()) return environment_map_changed(object, !after);
  if (resource == kube::kMutatingWebhooks || (resource == kube::kSecrets && name == kWebhookSecret)) {
    return webhooks_.queue().add_after(kWebhookName, kOwnPause);
  }
  for (const auto& one : {before, after}) {
    if (!one) continue;
    if (!kube::label(*one, kByPolicy).empty()) {
      owned_changed(resource, one);
    } else if (resource == kube::kSecrets || resource == kube::kConfigMaps) {
      reference_changed(resource, name);
    }
  }
}

void Controllers::namespace_changed(const Object& before, const Object& after) {
  if (!before || !after || labels_in(before) != labels_in(after)) wake_plan();
}

// Whether agents come and go is of no interest, only whether there are any.
void Controllers::endpoints_changed(const Object& before, const Object& after) {
  const auto ready = [](const Object& slice) { return slice ? admission::ready_policy(*slice) : std::string(); };
  if (ready(before) != ready(after)) plans_.queue().add_after(kEndpointsItem, options_.debounce);
}

void Controllers::environment_map_changed(const Object& object, bool gone) {
  namespaces_.queue().add_after(kube::metadata(*object, "namespace"), kOwnPause);
  // One that is being deleted waits for them.
  if (gone) wake_policy(kube::label(*object, kByPolicy), kOwnPause);
}

void Controllers::policy_changed(const Object& before, const Object& after) {
  const auto name = kube::metadata(after ? *after : *before, "name");
  if (part(before, "metadata") != part(after, "metadata") || part(before, "spec") != part(after, "spec")) {
    wake_plan();
  }
  if (leading_) policies_.queue().add_after(name, kOwnPause);
}

void Controllers::node_changed(const Object& before, const Object& after) {
  const auto name = kube::metadata(after ? *after : *before, "name");
  if (!before || !after || labels_in(before, kNodesByGroup) != labels_in(after, kNodesByGroup)) {
    wake_plan();
  }
  if (!leading_) return;
  const auto desired = state_.desired();
  const auto& wanted = desired->group_of(name);
  if (after && kube::label(*after, kNodesByGroup) != wanted) nodes_.queue().add(name);
  if (after && !kube::label(*after, kRestoreLabel).empty()) nodes_.queue().add(name);
  if (const auto* group = desired->group(wanted)) {
    wake_policy(group->policy, kPodPause);
    grants_.queue().add_after(wanted, kPodPause);
  }
}

// Renewals alone do not come here.
void Controllers::lease_changed(const Object& before, const Object& after) {
  const auto node = node_lease(after ? *after : *before).node;
  const auto desired = state_.desired();
  const auto& group = desired->group_of(node);
  if (const auto* planned = desired->group(group)) {
    grants_.queue().add_after(group, kOwnPause);
    wake_policy(planned->policy, kPodPause);
  }
  const auto live = cluster_.nodes().get({"", node});
  if (live && (kube::label(*live, kNodesByGroup) != group || !kube::label(*live, kRestoreLabel).empty())) nodes_.queue().add(node);
}

void Controllers::system_pod_changed(const Object& before, const Object& after) {
  if (part(before, "registries") != part(after, "registries")) wake_plan();
}

void Controllers::pod_changed(const Object& before, const Object& after) {
  const auto& pod = after ? *after : *before;
  if (kube::metadata(pod, "namespace") == kSystemNamespace) system_pod_changed(before, after);
  if (kube::metadata(pod, "namespace") != cluster_.ns()) return;
  if (const auto group = kube::label(pod, kByGroup); !group.empty()) grants_.queue().add_after(group, kPodPause);
  pods_.queue().add(kube::metadata(pod, "name"));
  if (const auto policy = kube::label(pod, kByPolicy); !policy.empty()) wake_policy(policy, kPodPause);
}

void Controllers::pods_refused(const Object& event) {
  if (!event) return;
  const auto name = event->at("involvedObject").value("name", "");
  if (const auto daemon_set = cluster_.daemon_sets().get({cluster_.ns(), name}))
    wake_policy(kube::label(*daemon_set, kByPolicy), kPodPause);
}

void Controllers::owned_changed(const kube::Resource& resource, const Object& object) {
  const auto group = kube::label(*object, kByGroup);
  if (!group.empty()) groups_.queue().add_after(group, kOwnPause);
  wake_policy(kube::label(*object, kByPolicy), kOwnPause);
  if (resource != kube::kSecrets || group.empty()) return;
  for (const auto& pod : cluster_.pods().with_label(kByGroup, group)) pods_.queue().add(kube::metadata(*pod, "name"));
}

void Controllers::reference_changed(const kube::Resource& resource, const std::string& name) {
  const auto desired = state_.desired();
  for (const auto& group : desired->plan.groups) {
    const auto& references = desired->policy(group.policy)->accepted->references;
    const auto& names = resource == kube::kSecrets ? references.secrets : references.config_maps;
    if (std::ranges::find(names, name) != names.end()) groups_.queue().add(group.name);
  }
}

}  // namespace cistern::reconcile
