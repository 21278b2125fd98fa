// Pages of tags/list and referrers. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache-agent/ecosystem/oci/request.hpp"

namespace cistern::oci {

// The upstream's Link header (RFC 8288), made to lead to us: the target becomes the path by which this client asked, with the query of the
// upstream's link (and `ns` where the client used it). Empty if there is no usable rel="next".
std::optional<std::string> rewrite_link(std::string_view link, const Request& request);

}  // namespace cistern::oci
