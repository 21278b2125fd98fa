// How an overlay changes a policy. Pure.
#pragma once

#include <string>

#include "operator/model/policy.hpp"
#include "yaml/node.hpp"
#include "yaml/problems.hpp"

namespace cistern::model {

// `spec` with an overlay on top, by JSON merge patch (RFC 7396): maps merge, lists replace; except images.registries, which merges by
// `name`, and within a registry by the same rules. Each node keeps the position of the file that it comes from.
yaml::Node merge(yaml::Node spec, const yaml::Node& overlay);

// Defaults ← spec ← regions[region] ← profiles[profile]; a name that the policy does not define, or an empty one, changes nothing.
// `written` has what is in files, with positions; what is not in it is a default.
struct Effective {
  yaml::Node written;
  Settings settings;
};
// Of a validated policy, each overlay by itself makes something valid; two together may not: what is wrong goes to `problems`.
Effective effective(const Policy& policy, const std::string& region, const std::string& profile, yaml::Problems& problems);

}  // namespace cistern::model
