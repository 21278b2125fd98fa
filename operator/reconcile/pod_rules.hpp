// What the webhook decides by, made from the plan and the caches; and which namespaces' ConfigMaps a change of it concerns. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "operator/admission/rules.hpp"
#include "operator/reconcile/desired.hpp"

namespace cistern::reconcile {

using PolicyNames = std::set<std::string, std::less<>>;

// Policies whose Service has a ready endpoint, by their EndpointSlices.
PolicyNames ready_policies(const std::vector<Object>& endpoint_slices);

// `desired` was made from `namespaces`.
admission::Rules make_pod_rules(const Desired& desired, const std::vector<Object>& namespaces, PolicyNames ready,
                                const std::string& own_namespace);

// Namespaces whose environment maps may differ, of either.
std::set<std::string> changed_namespaces(const admission::Rules& before, const admission::Rules& after);

}  // namespace cistern::reconcile
