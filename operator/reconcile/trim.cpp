#include "operator/reconcile/trim.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string_view>
#include <utility>

#include "operator/kube/client.hpp"
#include "operator/render/node_config.hpp"

namespace cistern::reconcile {
namespace {

using kube::Json;

// By which the DaemonSet's controller tells pods of a former template.
constexpr std::string_view kPodGeneration = "pod-template-generation";

// Moves some members of a map into a new one.
Json only(Json& from, std::initializer_list<std::string_view> names) {
  Json kept = Json::object();
  if (!from.is_object()) return kept;
  for (const auto name : names) {
    if (const auto found = from.find(name); found != from.end()) kept[std::string(name)] = std::move(*found);
  }
  return kept;
}

Json& member(Json& object, std::string_view name) {
  static thread_local Json nothing;
  nothing = Json();
  const auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

bool is_read(const std::string& key) {
  return key.starts_with("cistern.dev/") || key.starts_with("app.kubernetes.io/") || key == kPodGeneration;
}

// Labels or annotations. Those of others may be large (kubectl's last-applied-configuration) and are no concern of ours.
void keep_ours(Json& metadata, const char* map) {
  const auto found = metadata.find(map);
  if (found == metadata.end() || !found->is_object()) return;
  for (auto at = found->begin(); at != found->end();) {
    at = is_read(at.key()) ? std::next(at) : found->erase(at);
  }
  if (found->empty()) metadata.erase(found);
}

Json conditions(Json& status, std::initializer_list<std::string_view> types, std::initializer_list<std::string_view> fields) {
  Json kept = Json::array();
  Json& all = member(status, "conditions");
  if (!all.is_array()) return kept;
  for (auto& condition : all) {
    const std::string type = condition.value("type", "");
    for (const auto wanted : types) {
      if (type == wanted) kept.push_back(only(condition, fields));
    }
  }
  return kept;
}

// From metadata.managedFields: see "Server-Side Apply" in the Kubernetes documentation.
Json others_in(const Json& managed_fields) {
  Json names = Json::array();
  for (const auto& entry : managed_fields) {
    const std::string manager = entry.value("manager", "");
    const bool ours = manager == kube::kFieldManager && entry.value("operation", "") == "Apply";
    if (ours || manager == "kubectl-rollout" || !entry.value("subresource", "").empty()) continue;
    const Json fields = entry.value("fieldsV1", Json::object());
    const bool beside_metadata =
        std::ranges::any_of(fields.items(), [](const auto& field) { return field.key() != "f:metadata" && field.key() != "f:status"; });
    if (beside_metadata) names.push_back(manager);
  }
  return names;
}

Json container_states(Json& statuses) {
  Json kept = Json::array();
  if (!statuses.is_array()) return kept;
  for (auto& status : statuses) {
    for (const auto* state : {"state", "lastState"}) {
      if (const auto found = status.find(state); found != status.end()) *found = only(*found, {"waiting", "terminated"});
      if (const auto found = status.find(state); found != status.end() && found->empty()) status.erase(found);
    }
    kept.push_back(only(status, {"image", "restartCount", "state", "lastState"}));
  }
  return kept;
}

}  // namespace

void trim_node(Json& node) {
  Json metadata = only(member(node, "metadata"), {"name", "uid", "labels", "annotations", "resourceVersion", "deletionTimestamp"});
  keep_ours(metadata, "annotations");
  Json spec = only(member(node, "spec"), {"unschedulable", "taints"});
  Json ready = conditions(member(node, "status"), {"Ready"}, {"type", "status"});
  node = Json{{"metadata", std::move(metadata)}, {"spec", std::move(spec)}, {"status", {{"conditions", std::move(ready)}}}};
}

void trim_namespace(Json& ns) {
  Json metadata = only(member(ns, "metadata"), {"name", "labels", "resourceVersion", "deletionTimestamp"});
  ns = Json{{"metadata", std::move(metadata)}};
}

void trim_pod(Json& pod) {
  Json metadata = only(member(pod, "metadata"),
                       {"name", "namespace", "uid", "labels", "annotations", "resourceVersion", "creationTimestamp", "deletionTimestamp"});
  keep_ours(metadata, "annotations");
  keep_ours(metadata, "labels");
  Json spec = only(member(pod, "spec"), {"nodeName"});
  if (spec.empty()) spec = only(member(pod, "spec"), {"affinity"});  // says for which node a DaemonSet made it
  Json& status = member(pod, "status");
  Json kept = only(status, {"phase", "podIP", "reason", "message"});
  kept["conditions"] = Json::array();
  for (auto& condition : conditions(status, {"PodScheduled", "Ready"}, {"type", "status", "reason", "message"})) {
    if (condition.value("type", "") == "Ready") {
      kept["conditions"].push_back(only(condition, {"type", "status"}));
    } else if (condition.value("status", "") == "False") {
      kept["conditions"].push_back(std::move(condition));
    }
  }
  for (const auto* list : {"initContainerStatuses", "containerStatuses"}) {
    if (const auto found = status.find(list); found != status.end()) kept[list] = container_states(*found);
  }
  pod = Json{{"metadata", std::move(metadata)}, {"spec", std::move(spec)}, {"status", std::move(kept)}};
}

void trim_system_pod(Json& pod) {
  Json metadata = only(member(pod, "metadata"), {"name", "namespace", "resourceVersion"});
  Json& spec = member(pod, "spec");
  const auto priority = spec.is_object() ? spec.value("priorityClassName", "") : std::string();
  Json registries = Json::array();
  if (priority == "system-node-critical" || priority == "system-cluster-critical") {
    std::set<std::string> names;
    for (const auto* list : {"initContainers", "containers"}) {
      for (const auto& container : spec.value(list, Json::array())) names.insert(render::registry_of_image(container.value("image", "")));
    }
    registries = names;
  } else if (const auto kept = pod.find("registries"); kept != pod.end()) {
    registries = std::move(*kept);  // it was trimmed before
  }
  pod = Json{{"metadata", std::move(metadata)}};
  if (!registries.empty()) pod["registries"] = std::move(registries);
}

void trim_lease(Json& lease) {
  Json metadata = only(member(lease, "metadata"), {"name", "namespace", "annotations", "resourceVersion"});
  keep_ours(metadata, "annotations");
  lease = Json{{"metadata", std::move(metadata)}};
}

void trim_event(Json& event) {
  Json metadata = only(member(event, "metadata"), {"name", "namespace", "creationTimestamp", "resourceVersion"});
  Json about = only(member(event, "involvedObject"), {"name", "uid"});
  Json kept = only(event, {"message", "lastTimestamp"});
  kept["metadata"] = std::move(metadata);
  kept["involvedObject"] = std::move(about);
  event = std::move(kept);
}

void trim_object(Json& object) {
  if (const auto metadata = object.find("metadata"); metadata != object.end()) {
    if (const auto managed = metadata->find("managedFields"); managed != metadata->end()) {
      if (auto others = others_in(*managed); !others.empty()) (*metadata)[kOthers] = std::move(others);
      metadata->erase(managed);
    }
    if (const auto annotations = metadata->find("annotations"); annotations != metadata->end()) {
      annotations->erase("kubectl.kubernetes.io/last-applied-configuration");
    }
  }
  if (const auto status = object.find("status"); status != object.end() && object.value("kind", "") == "DaemonSet") {
    *status = only(*status, {"observedGeneration", "desiredNumberScheduled"});
  }
}

}  // namespace cistern::reconcile
