// The part of the policy reconciler that gathers what the status says.
#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/policy.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::reconcile {
namespace {

constexpr std::string_view kTemplateGeneration = "deprecated.daemonset.template.generation";
constexpr std::string_view kGenerationOfPod = "pod-template-generation";

bool is_ready(const Json& status) {
  for (const auto& condition : status.value("conditions", Json::array())) {
    if (condition.value("type", "") == "Ready") return condition.value("status", "") == "True";
  }
  return false;
}

bool told_before(const Json& policy) {
  const auto status = policy.find("status");
  return status != policy.end() && status->is_object() && status->contains("conditions");
}

// The first node of the policy that could not be labelled.
std::optional<Error> node_trouble(const State& state, const plan::Group& group) {
  for (const auto& node : group.nodes) {
    if (auto error = state.node_error(node)) return error;
  }
  return std::nullopt;
}

// Which pod template the DaemonSet has now; its controller writes the same on the pods that it makes. Empty: there is no DaemonSet.
std::string template_generation(const Cluster& cluster, const std::string& group) {
  for (const auto& object : cluster.daemon_sets().with_label(kByGroup, group)) return kube::annotation(*object, kTemplateGeneration);
  return {};
}

std::string time_of(const Json& event) {
  const auto last = event.find("lastTimestamp");
  return last != event.end() && last->is_string() ? last->get<std::string>() : kube::metadata(event, "creationTimestamp");
}

// What the DaemonSet's controller said when it could not make a pod, if it has made none since: Events outlive their cause by up to an
// hour.
std::optional<std::string> refused(const Cluster& cluster, const std::string& group) {
  std::optional<std::string> words;
  std::string newest;  // all times have one form, so that they compare as text
  for (const auto& pod : cluster.pods().with_label(kByGroup, group)) newest = std::max(newest, kube::metadata(*pod, "creationTimestamp"));
  for (const auto& daemon_set : cluster.daemon_sets().with_label(kByGroup, group)) {
    for (const auto& event : cluster.refusals().all()) {
      if (event->at("involvedObject").value("uid", "") != kube::metadata(*daemon_set, "uid") || time_of(*event) < newest) continue;
      newest = time_of(*event);
      words = event->value("message", "");
    }
  }
  return words;
}

}  // namespace

std::optional<std::size_t> PolicyReconciler::scheduled(const plan::Group& group, std::optional<milliseconds>& again) {
  const auto& cluster = parts_.cluster;
  const auto now = parts_.clock.steady();
  const bool labelled = std::ranges::all_of(group.nodes, [&](const std::string& name) {
    const auto node = cluster.nodes().get({"", name});
    return !node || kube::label(*node, kNodesByGroup) == group.name;
  });
  // What there was at the start has settled long since.
  const bool just_started = now < started_ + options_.settle;
  {
    const std::lock_guard lock(mutex_);
    if (!labelled) {
      settling_.erase(group.name);
      return std::nullopt;
    }
    const auto [known, fresh] = settling_.try_emplace(group.name, Settling{group.nodes, just_started ? started_ - options_.settle : now});
    if (known->second.nodes != group.nodes) known->second = {group.nodes, now};
    const auto rest = std::chrono::ceil<milliseconds>(known->second.since + options_.settle - now);
    if (rest > milliseconds(0)) {
      again = again ? std::min(*again, rest) : rest;
      return std::nullopt;
    }
  }
  for (const auto& object : cluster.daemon_sets().with_label(kByGroup, group.name)) {
    const auto status = object->find("status");
    if (status == object->end() || status->value("observedGeneration", 0) < object->at("metadata").value("generation", 0)) continue;
    return status->value("desiredNumberScheduled", std::size_t{0});
  }
  return std::nullopt;
}

GroupState PolicyReconciler::group_state(const plan::Group& group, std::optional<milliseconds>& again) {
  GroupState state;
  state.group = group.name;
  state.region = group.region;
  state.profile = group.profile;
  state.nodes = group.nodes;
  for (const auto& name : group.nodes) {
    const auto node = parts_.cluster.nodes().get({"", name});
    if (!node || !is_reachable(*node)) state.unreachable.push_back(name);
  }
  state.scheduled = scheduled(group, again);
  const auto generation = template_generation(parts_.cluster, group.name);
  for (const auto& object : parts_.cluster.pods().with_label(kByGroup, group.name)) {
    auto pod = agent_pod(*object);
    auto seen = poller_.seen(kube::metadata(*object, "uid"));
    pod.report = std::move(seen.report);
    pod.no_answer = std::move(seen.no_answer);
    pod.outdated = !generation.empty() && kube::label(*object, kGenerationOfPod) != generation;
    state.pods.push_back(std::move(pod));
  }
  // A new DaemonSet's pods are still being made.
  if (state.scheduled && state.pods.size() < state.nodes.size()) state.refused = refused(parts_.cluster, group.name);
  auto result = state_.group(group.name).value_or(GroupResult());
  add_node_setups(group, result, state);
  state.config_hash = std::move(result.config_hash);
  state.missing = std::move(result.missing);
  if (result.error) {
    state.apply_error = result.error->message;
    state.apply_refused = is_refusal(*result.error);
  }
  return state;
}

void PolicyReconciler::add_node_setups(const plan::Group& group, const GroupResult& result, GroupState& state) {
  if (!parts_.installation.node_program || result.node_hash.empty()) return;
  state.node_mode = group.effective.settings.node_config.mode;
  state.kept_in_fallback = result.kept_in_fallback;
  const auto nodes = group_nodes(parts_.cluster, group, parts_.clock.steady(), options_.silence);
  for (const auto& node : nodes) state.node_setups.push_back(node_setup(node, *state.node_mode, result.node_hash));
  const auto at_once = nodes_at_once(group.effective.settings.node_config.max_unavailable, nodes.size());
  state.held_by_failed = grants(nodes, hash_to_grant(group, result.node_hash), at_once).held_by_failed;
}

void PolicyReconciler::tell_of_nodes(const Object& live, const PolicyState& state, const std::set<std::string>& told) {
  TroubledNodes now;
  for (const auto& group : state.groups) {
    for (const auto& setup : group.node_setups) {
      if (setup.state == NodeSetupState::kSilent) now.silent.insert(setup.node);
      if (setup.state == NodeSetupState::kFailed) now.failed.insert(setup.node);
    }
  }
  std::optional<TroubledNodes> before;
  {
    const std::lock_guard lock(mutex_);
    const auto [known, fresh] = troubled_.try_emplace(kube::metadata(*live, "name"), now);
    if (fresh && told_before(*live)) return;  // what the last operator has told
    if (!fresh) before = std::exchange(known->second, now);
  }
  for (const auto& [reason, was, is, what] : {std::tuple("HeartbeatStale", before ? before->silent : std::set<std::string>(), now.silent,
                                                         "The node program was not heard of for too long on"),
                                              std::tuple("NodeConfigFailed", before ? before->failed : std::set<std::string>(), now.failed,
                                                         "The runtime could not be configured on")}) {
    std::vector<std::string> fresh;
    std::ranges::set_difference(is, was, std::back_inserter(fresh));
    if (fresh.empty() || told.contains(reason)) continue;
    parts_.events.record(*live, kube::EventType::kWarning, reason, "Reconcile", fmt::format("{} {}.", what, few(fresh, 5)));
  }
}

// After a start the status is as the last operator left it until its groups have been looked at and the agents asked; both lead back here.
// Of a policy without our finalizer no group is looked at.
bool PolicyReconciler::knows_enough(const std::string& name, const Desired& desired, const PolicyEntry& entry) const {
  if (!poller_.has_asked()) return false;
  return !entry.guarded || std::ranges::all_of(desired.plan.groups, [&](const plan::Group& group) {
    return group.policy != name || state_.group(group.name).has_value();
  });
}

// Why pods get nothing, of a policy that wants them to. An installation without the webhook is no trouble for one that does not name
// injection.
std::string PolicyReconciler::webhook_trouble(const PolicyEntry& entry, const plan::PolicyOutcome* outcome) const {
  if (!entry.accepted || outcome == nullptr || outcome->namespaces == 0) return {};
  const auto& settings = entry.accepted->policy.spec.settings;
  const bool named = entry.accepted->spec.contains("injection");
  if (settings.injection.mode == model::InjectionMode::kOff || !(named || (options_.injects && !settings.go.upstreams.empty()))) return {};
  return state_.webhook_trouble();
}

Result<Outcome> PolicyReconciler::write_status(const std::string& name, const Desired& desired, const PolicyEntry& entry,
                                               const Error* trouble) {
  const Object live = newest(name);
  if (!live || !knows_enough(name, desired, entry)) return Outcome{};
  const auto version = parts_.cluster.policies().resource_version({"", name});
  PolicyState state;
  state.object = live.get();
  state.invalid = entry.invalid;
  if (entry.accepted) state.accepted_generation = entry.accepted->generation;
  state.outcome = desired.outcome(name);
  state.ns = parts_.cluster.ns();
  state.webhook_trouble = webhook_trouble(entry, state.outcome);
  state.maps_refused = state_.namespace_errors(name);
  std::optional<Error> apply_error = trouble == nullptr ? std::nullopt : std::optional(*trouble);
  Outcome outcome;
  for (const auto& group : desired.plan.groups) {
    if (group.policy != name) continue;
    state.groups.push_back(group_state(group, outcome.again));
    const auto& registries = group.effective.settings.registries;
    state.strict_in_vain =
        state.strict_in_vain ||
        (!parts_.installation.node_program && std::ranges::any_of(registries, [](const auto& one) { return !one.fallback_to_source; }));
    if (!apply_error) apply_error = node_trouble(state_, group);
  }
  if (apply_error) {
    state.apply_error = apply_error->message;
    state.apply_refused = is_refusal(*apply_error);
  }
  const Json before = live->value("status", Json());
  const Json status = policy_status(state, poller_.totals(name), parts_.clock.wall());
  tell(name, status, state);
  auto written = applier_.apply_status(kube::kMirrorPolicies, status, live);
  if (!written) {
    if (written.error().code == ErrorCode::kNotFound) return outcome;
    return fail(written.error());
  }
  std::set<std::string> told;
  const auto events = *written ? status_events(before, status) : std::vector<StatusEvent>();
  for (const auto& event : events) told.insert(event.reason);
  tell_of_nodes(live, state, told);
  if (!*written) return outcome;
  outcome.changed = "status";
  for (const auto& event : events) {
    parts_.events.record(*live, event.warning ? kube::EventType::kWarning : kube::EventType::kNormal, event.reason, "Reconcile",
                         event.note);
  }
  const std::lock_guard lock(mutex_);
  written_.insert_or_assign(name, WrittenStatus{version, *written});
  return outcome;
}

void PolicyReconciler::tell(const std::string& name, const Json& status, const PolicyState& state) {
  std::size_t running = 0;
  for (const auto& group : state.groups) {
    running += static_cast<std::size_t>(std::ranges::count_if(group.pods, [](const auto& pod) { return pod.ready && !pod.terminating; }));
  }
  const auto agents = status.value("agents", Json::object());
  parts_.metrics.agents(name, agents.value("desired", std::size_t{0}), running, agents.value("ready", std::size_t{0}));
  parts_.metrics.policy_ready(name, is_ready(status));
}

}  // namespace cistern::reconcile
