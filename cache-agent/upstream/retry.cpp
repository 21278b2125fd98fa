#include "cache-agent/upstream/retry.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace cistern::upstream {

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, WallTime now) {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && end == value.data() + value.size()) return std::chrono::seconds(seconds);
  const auto date = curl_getdate(std::string(value).c_str(), nullptr);
  if (date == -1) return {};
  return std::max(std::chrono::seconds(0), std::chrono::seconds(date) - now.time_since_epoch());
}

bool is_transient_status(unsigned status) { return status == 502 || status == 503 || status == 504; }

std::chrono::milliseconds backoff(unsigned attempt, std::chrono::milliseconds base, double random) {
  constexpr std::chrono::milliseconds kLongest{5000};
  const auto most = std::min(kLongest, std::chrono::milliseconds(base.count() << std::min(attempt, 16U)));
  return std::chrono::milliseconds(static_cast<long long>(static_cast<double>(most.count()) * random));
}

}  // namespace cistern::upstream
