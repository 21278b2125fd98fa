// Where Kubernetes manifests and Compose files name images; see the folder's README. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "operator/rewrite/edits.hpp"

namespace cistern::rewrite {

// `text` has no byte order mark. kInvalid, with file and line, if it is not YAML. Documents of other kinds are left alone.
Result<void> find_in_yaml(std::string_view text, const std::string& file, Edits& edits);

}  // namespace cistern::rewrite
