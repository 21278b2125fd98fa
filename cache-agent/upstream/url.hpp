// URLs, by libcurl's own parser, so that what is judged is what will be asked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern::upstream {

// Scheme, host and port: what credentials belong to. In lower case, the port always set; a numeric host in its normal form.
struct Origin {
  std::string scheme;
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const Origin&) const = default;
};

// kInvalid for anything but http and https, user information, and what is no URL; the message does not repeat it.
Result<Origin> origin_of(const std::string& url);
// A Location header's value, relative to the URL that answered with it. kInvalid as above.
Result<std::string> resolve(const std::string& base, const std::string& location);
// For messages and logs: signed URLs carry their secret in the query.
std::string without_query(std::string_view url);

}  // namespace cistern::upstream
