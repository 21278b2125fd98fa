// What a policy says and a cluster does not do yet. Used by cluster.cpp only.
#pragma once

#include <string>

#include "operator/model/policy.hpp"
#include "operator/plan/overlay.hpp"

namespace cistern::plan {

// Fields that are set to something other than what happens anyway, in the policy and in its overlays.
void notice_cluster_fields(const model::Policy& policy, Noticer& noticer);

}  // namespace cistern::plan
