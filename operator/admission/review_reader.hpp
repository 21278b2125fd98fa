// Reads of a review what is looked at, and skips the rest without making anything of it: most of a pod, and all that is said of who asks,
// is of no interest, and building it would take most of the time of an answer. Used by review.cpp only.
#pragma once

#include <optional>
#include <string_view>

#include "operator/admission/rules.hpp"

namespace cistern::admission {

// The document with the members that `review` and `decide` look at; lists keep their lengths, so that places in them are those of the pod.
// Nothing if it is no JSON. What is looked at has the same shape as in the document, however wrong that is.
std::optional<Json> read_review(std::string_view body);

}  // namespace cistern::admission
