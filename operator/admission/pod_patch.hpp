// The JSON patch that puts variables into a pod. Used by decision.cpp only.
#pragma once

#include <string>
#include <string_view>

#include "operator/admission/decision.hpp"

namespace cistern::admission {

// Null if `json` is no object, or has no such member, or it is null.
const Json* member(const Json& json, std::string_view key);
// A member that is text; empty if it is not, or `json` is null.
std::string_view text(const Json* json, std::string_view key);

// Fills in `patch`, `variables` and `notes`. `map`: the ConfigMap for containers with `envFrom`; empty: there
// is none, and such containers stay as they are.
void patch_pod(const Json& pod, const Told& told, const std::string& map, Decision& decision);

}  // namespace cistern::admission
