#include "operator/reconcile/pods.hpp"

namespace cistern::reconcile {

Result<Outcome> PodReconciler::reconcile(const std::string& name) {
  const auto& cluster = parts_.cluster;
  const auto pod = cluster.pods().get({cluster.ns(), name});
  if (!pod || !kube::metadata(*pod, "deletionTimestamp").empty()) return Outcome{};
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
