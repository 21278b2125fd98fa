// Policies from files and from the API server's JSON, checked whole: a Policy that these return is valid.
// Errors are kInvalid with one line for everything that is wrong, "FILE:LINE: spec.path: what is wrong; what would be right".
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "operator/model/policy.hpp"

namespace cistern::model {

inline constexpr std::string_view kApiVersion = "cistern.dev/v1alpha1";
inline constexpr std::string_view kKind = "MirrorPolicy";

// Every document of one file. Names are unique.
Result<std::vector<Policy>> parse_policies(std::string_view text, const std::string& file);

// Every *.yaml, *.yml and *.json of a folder, in the order of their names; blocks on the disk. A path of one file is
// taken for that file. A folder without any policy is an error.
Result<std::vector<Policy>> load_policies(const std::filesystem::path& folder);

// The files that load_policies would read.
Result<std::vector<std::filesystem::path>> policy_files(const std::filesystem::path& folder);

Result<Policy> from_json(const Json& json);
// apiVersion, kind, metadata and spec as written, without the defaults.
Json to_json(const Policy& policy);

}  // namespace cistern::model
