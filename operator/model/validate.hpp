// What no single field can tell. Pure; used by parse.cpp.
#pragma once

#include <string>

#include "operator/model/policy.hpp"
#include "yaml/problems.hpp"

namespace cistern::model {

// Checks names that must be unique and fields that need or exclude each other, in the policy as written and under each of its overlays;
// fills in what follows from other fields (upstreams' names, the checksum database's key).
void validate(Policy& policy, yaml::Problems& problems);

// The same for settings that were read from the node `spec`; `context` says under which overlay, for messages.
void validate(Settings& settings, const yaml::Node& spec, const std::string& context, yaml::Problems& problems);

}  // namespace cistern::model
