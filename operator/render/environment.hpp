// The go command's environment.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/model/policy.hpp"

namespace cistern::render {

// GOPROXY, GOSUMDB, GONOPROXY, and where there is something to say GOPRIVATE and GONOSUMDB; nothing if Go is not served. `base` is
// the agent's URL without a trailing slash.
//
// GONOPROXY is always set, since GOPRIVATE would otherwise send private modules past the agent: the private patterns that no upstream
// serves, else `none`.
std::map<std::string, std::string> go_environment(const model::Go& go, const std::string& base);

// Lines of `export NAME='value'`, for sh.
std::string shell_exports(const std::map<std::string, std::string>& variables);

}  // namespace cistern::render
