// Where a Dockerfile names images; see the folder's README. Pure.
#pragma once

#include <string_view>

#include "operator/rewrite/edits.hpp"

namespace cistern::rewrite {

// `text` has no byte order mark. Anything is taken for a Dockerfile: instructions that are not known have no images.
void find_in_dockerfile(std::string_view text, Edits& edits);

}  // namespace cistern::rewrite
