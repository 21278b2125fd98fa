// Module patterns, as GOPRIVATE has them (golang.org/x/mod/module.MatchPrefixPatterns).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace cistern {

// Whether a prefix of `path`, cut at a '/', matches the glob: '*' and '?' stay within an element, '[a-z]' and '\' are as in Go's
// path.Match. "*.corp.example" matches git.corp.example/a/b. "*" matches every path.
bool matches_module_pattern(std::string_view pattern, std::string_view path);
bool matches_any_module_pattern(const std::vector<std::string>& patterns, std::string_view path);

// kInvalid, and what would be right, for an empty pattern, one with a comma or white space, or a broken bracket.
Result<void> check_module_pattern(std::string_view pattern);

}  // namespace cistern
