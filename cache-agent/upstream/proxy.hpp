// The proxy variables of the environment, as curl and most others read them. Chosen here and not by libcurl, so that it is known whether
// the address connected to is the target's, which is then checked, or a proxy's, which the administrator chose.
#pragma once

#include <string>
#include <string_view>

#include "cache-agent/upstream/url.hpp"

namespace cistern::upstream {

struct Proxies {
  std::string http;   // http_proxy in lower case only: HTTP_PROXY is what a CGI client's "Proxy:" header becomes
  std::string https;  // https_proxy, HTTPS_PROXY
  std::string all;    // all_proxy, ALL_PROXY: where the above are not set
  std::string none;   // no_proxy, NO_PROXY

  static Proxies from_environment();
  // URL of the proxy by which to reach `target`; empty: directly.
  std::string choose(const Origin& target) const;
};

// Whether `host` is on the list: names match themselves and what is below them, with or without a leading dot; addresses match
// addresses and CIDR blocks; "*" alone matches all. Separated by commas or blanks.
bool bypasses_proxy(std::string_view list, std::string_view host);

}  // namespace cistern::upstream
