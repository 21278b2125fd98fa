// Which manifest types a client accepts. A tag's entry is kept for each set of them, since a registry may answer the same tag with an index
// or with one platform's manifest. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "http/message.hpp"

namespace cistern::oci {

struct AcceptSet {
  std::string key;     // equal for equal sets, whatever their order, case and q; "*" for all. Part of cache keys; at most 256 bytes
  std::string header;  // the Accept to ask an upstream with; depends on the set alone, so that the answer does too
};

// From every Accept field. No field, "*/*" and "application/*" mean all; types with q=0 are left out.
AcceptSet accepted_types(const http::Headers& headers);

}  // namespace cistern::oci
