// An agent's pod as the API server has it, in the status' words. Pure.
#pragma once

#include "operator/kube/resource.hpp"
#include "operator/reconcile/status.hpp"

namespace cistern::reconcile {

// Of a trimmed pod; without `report`, `no_answer` and `outdated`.
AgentPod agent_pod(const kube::Json& pod);

// Whether its admin listener may be asked: it has an address and is not on its way out.
bool can_be_asked(const kube::Json& pod);

// Whether a (trimmed) node's Ready condition is True; else nothing that runs there can be relied on.
bool is_reachable(const kube::Json& node);

}  // namespace cistern::reconcile
