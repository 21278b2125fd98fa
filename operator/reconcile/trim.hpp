// What of an object is worth keeping: 5 000 nodes and their agents fit into the operator's memory because most of each is dropped. Pure.
#pragma once

#include "operator/kube/resource.hpp"

namespace cistern::reconcile {

// name, uid, labels, our annotations; spec.unschedulable and taints; the Ready condition's status.
void trim_node(kube::Json& node);
// name, namespace, labels.
void trim_namespace(kube::Json& ns);
// What says where an agent runs (or shall run) and since when, whether it is ready, and what keeps it from it: names, times, labels and
// annotations of ours, nodeName, or the affinity while there is none, phase, podIP, whether it is ready, why it is not scheduled, how its
// containers wait or end.
void trim_pod(kube::Json& pod);
// name, and of a system-critical pod `registries`: whence its images come.
void trim_system_pod(kube::Json& pod);
// name, namespace, our annotations.
void trim_lease(kube::Json& lease);
// What it is about, what it says and when.
void trim_event(kube::Json& event);
// Drops metadata.managedFields and kubectl's copy of what was applied; of a DaemonSet's status only observedGeneration and
// desiredNumberScheduled stay. Who else has written into it is kept as kOthers.
void trim_object(kube::Json& object);

// metadata.others of a trimmed object: the names of managers that own a part of it (metadata and status apart) which we have not applied;
// it is not there if there are none. `kubectl rollout restart` is meant, and does not count.
inline constexpr const char* kOthers = "others";

}  // namespace cistern::reconcile
