#include "operator/reconcile/agent_pod.hpp"

#include <fmt/format.h>

namespace cistern::reconcile {
namespace {

using kube::Json;

const Json& at(const Json& object, const char* name) {
  static const Json nothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? nothing : *found;
}

std::string text(const Json& object, const char* name) {
  const Json& value = at(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

const Json* condition(const Json& status, std::string_view type) {
  for (const auto& one : at(status, "conditions")) {
    if (text(one, "type") == type) return &one;
  }
  return nullptr;
}

// The DaemonSet controller pins a pod to its node by an affinity for metadata.name.
std::string node_of_affinity(const Json& spec) {
  const Json& terms =
      at(at(at(at(spec, "affinity"), "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution"), "nodeSelectorTerms");
  for (const auto& term : terms) {
    for (const auto& field : at(term, "matchFields")) {
      const Json& values = at(field, "values");
      if (text(field, "key") == "metadata.name" && values.size() == 1 && values[0].is_string()) return values[0].get<std::string>();
    }
  }
  return {};
}

std::string end_of(const Json& terminated) {
  std::string end = fmt::format("exit code {}", terminated.value("exitCode", 0));
  if (const auto reason = text(terminated, "reason"); !reason.empty() && reason != "Error") end += fmt::format(" ({})", reason);
  if (const auto message = text(terminated, "message"); !message.empty()) end += ": " + message;
  return end;
}

void add_container(const Json& container, AgentPod& pod) {
  pod.restarts += container.value("restartCount", 0U);
  if (pod.image.empty()) pod.image = text(container, "image");
  const Json& state = at(container, "state");
  const Json& waiting = at(state, "waiting");
  // Of several, the first that says why is the one that the others wait for.
  const auto reason = text(waiting, "reason");
  const bool says_why = !reason.empty() && reason != "PodInitializing" && reason != "ContainerCreating";
  if (!reason.empty() && (pod.waiting_reason.empty() || (says_why && pod.waiting_message.empty()))) {
    pod.waiting_reason = reason;
    pod.waiting_message = text(waiting, "message");
    if (says_why) pod.image = text(container, "image");
  }
  for (const auto* ended : {&at(state, "terminated"), &at(at(container, "lastState"), "terminated")}) {
    if (ended->is_object() && ended->value("exitCode", 0) != 0 && pod.last_end.empty()) pod.last_end = end_of(*ended);
  }
}

}  // namespace

AgentPod agent_pod(const Json& object) {
  AgentPod pod;
  const Json& spec = at(object, "spec");
  const Json& status = at(object, "status");
  pod.name = kube::metadata(object, "name");
  pod.node = text(spec, "nodeName");
  if (pod.node.empty()) pod.node = node_of_affinity(spec);
  pod.terminating = !kube::metadata(object, "deletionTimestamp").empty();
  if (const auto* ready = condition(status, "Ready")) pod.ready = text(*ready, "status") == "True";
  if (const auto* scheduled = condition(status, "PodScheduled"); scheduled != nullptr && text(*scheduled, "status") == "False") {
    pod.unschedulable = text(*scheduled, "message");
    if (pod.unschedulable.empty()) pod.unschedulable = text(*scheduled, "reason");
  }
  for (const auto& container : at(status, "initContainerStatuses")) add_container(container, pod);
  if (pod.waiting_message.empty()) pod.image.clear();
  for (const auto& container : at(status, "containerStatuses")) add_container(container, pod);
  // Refused or put out by the kubelet: there is no container that would tell.
  if (text(status, "phase") == "Failed" && pod.waiting_reason.empty()) {
    pod.waiting_reason = text(status, "reason");
    pod.waiting_message = text(status, "message");
  }
  return pod;
}

bool can_be_asked(const Json& object) {
  const Json& status = at(object, "status");
  return kube::metadata(object, "deletionTimestamp").empty() && text(status, "phase") == "Running" && !text(status, "podIP").empty();
}

bool is_reachable(const Json& node) {
  const auto* ready = condition(at(node, "status"), "Ready");
  return ready != nullptr && text(*ready, "status") == "True";
}

}  // namespace cistern::reconcile
