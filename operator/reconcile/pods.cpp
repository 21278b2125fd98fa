#include "operator/reconcile/pods.hpp"

namespace cistern::reconcile {
namespace {

// Labels of an agent that somebody took away or changed. Without those by which its DaemonSet knows it, the DaemonSet's controller lets go
// of the pod and makes another, which finds the node's port taken; nobody would ever end the first one.
Json lost_labels(const Json& pod, const Cluster& cluster) {
  Json lost = Json::object();
  if (kube::annotation(pod, render::kStartAnnotation).empty()) return lost;
  const auto name = kube::metadata(pod, "name");
  const auto set = cluster.daemon_sets().get({cluster.ns(), name.substr(0, name.rfind('-'))});
  if (!set || !kube::metadata(*set, "deletionTimestamp").empty()) return lost;
  for (const auto& label : set->at("spec").at("selector").at("matchLabels").items()) {
    if (Json(kube::label(pod, label.key())) != label.value()) lost[label.key()] = label.value();
  }
  // A pod of a former template may have another policy's.
  if (kube::label(pod, kByPolicy).empty()) lost[kByPolicy] = kube::label(*set, kByPolicy);
  return lost;
}

}  // namespace

Result<Outcome> PodReconciler::reconcile(const std::string& name) {
  const auto& cluster = parts_.cluster;
  const auto pod = cluster.pods().get({cluster.ns(), name});
  if (!pod || !kube::metadata(*pod, "deletionTimestamp").empty()) return Outcome{};
  if (const auto lost = lost_labels(*pod, cluster); !lost.empty()) {
    const auto patched = parts_.client.merge_patch(kube::kPods, {cluster.ns(), name}, Json{{"metadata", {{"labels", lost}}}}, {});
    if (!patched && patched.error().code != ErrorCode::kNotFound) return fail(patched.error());
    return Outcome{.changed = "labels"};
  }
  // The Secret as it is, not as it shall be: kubelet is to read what is there.
  std::string hash;
  for (const auto& secret : cluster.secrets().with_label(kByGroup, kube::label(*pod, kByGroup))) {
    hash = kube::annotation(*secret, render::kHashAnnotation);
  }
  if (hash.empty() || kube::annotation(*pod, render::kHashAnnotation) == hash) return Outcome{};
  const auto patched = parts_.client.merge_patch(kube::kPods, {cluster.ns(), name},
                                                 Json{{"metadata", {{"annotations", {{std::string(render::kHashAnnotation), hash}}}}}}, {});
  if (!patched && patched.error().code != ErrorCode::kNotFound) return fail(patched.error());
  return Outcome{.changed = fmt::format("configuration {}", hash)};
}

}  // namespace cistern::reconcile
