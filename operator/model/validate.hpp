// What no single field can tell. Pure; used by parse.cpp.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "operator/model/policy.hpp"
#include "yaml/problems.hpp"

namespace cistern::model {

// What a region may not set, as a pod is told it before its node is known.
inline constexpr std::array<std::string_view, 5> kNotInRegions = {"injection", "go.private", "go.sumDB", "go.allowDirect", "go.deny"};

// Checks names that must be unique and fields that need or exclude each other, in the policy as written and under each of its overlays;
// fills in what follows from other fields (upstreams' names, the checksum database's key).
void validate(Policy& policy, yaml::Problems& problems);

// The same for settings that were read from the node `spec`; `context` says under which overlay, for messages.
void validate(Settings& settings, const yaml::Node& spec, const std::string& context, yaml::Problems& problems);

}  // namespace cistern::model
