#include "cache-agent/upstream/url.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>

namespace cistern::upstream {
namespace {

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

constexpr unsigned kStrict = CURLU_DISALLOW_USER | CURLU_PATH_AS_IS;

std::string part_of(const Url& url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

Failure not_a_url() { return fail(ErrorCode::kInvalid, "not a URL with http or https and without user information"); }

bool is_http(const Url& url) {
  const auto scheme = part_of(url, CURLUPART_SCHEME, 0);
  return scheme == "http" || scheme == "https";
}

}  // namespace

Result<Origin> origin_of(const std::string& text) {
  const Url url(curl_url(), &curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), kStrict) != CURLUE_OK || !is_http(url)) return not_a_url();
  Origin origin{part_of(url, CURLUPART_SCHEME, 0), part_of(url, CURLUPART_HOST, 0),
                static_cast<std::uint16_t>(std::strtoul(part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT).c_str(), nullptr, 10))};
  if (origin.host.empty()) return not_a_url();
  std::transform(origin.host.begin(), origin.host.end(), origin.host.begin(), [](unsigned char c) { return std::tolower(c); });
  return origin;
}

Result<std::string> resolve(const std::string& base, const std::string& location) {
  const Url url(curl_url(), &curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), kStrict) != CURLUE_OK) return not_a_url();
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), kStrict | CURLU_URLENCODE) != CURLUE_OK || !is_http(url)) return not_a_url();
  curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  return part_of(url, CURLUPART_URL, 0);
}

std::string without_query(std::string_view url) { return std::string(url.substr(0, url.find_first_of("?#"))); }

}  // namespace cistern::upstream
