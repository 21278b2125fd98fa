// Label and field selectors of the Kubernetes API, as far as this project writes them.
#pragma once

#include <string>
#include <string_view>

#include "operator/kube/resource.hpp"

namespace cistern::fakes {

// "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b,c)", "a", "!a", joined by commas. Empty selects everything.
bool matches_labels(const kube::Json& object, std::string_view selector);
// "metadata.name=x", "spec.nodeName!=y", joined by commas; a field that is not there is the empty text.
bool matches_fields(const kube::Json& object, std::string_view selector);

}  // namespace cistern::fakes
