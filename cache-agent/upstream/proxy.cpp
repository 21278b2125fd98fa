#include "cache-agent/upstream/proxy.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "http/message.hpp"

namespace cistern::upstream {
namespace {

std::string variable(const char* name, const char* alternative = nullptr) {
  const char* value = std::getenv(name);
  if (value == nullptr && alternative != nullptr) value = std::getenv(alternative);
  return value == nullptr ? "" : value;
}

struct Address {
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 0;  // 32 or 128
};

std::optional<Address> parse_address(std::string_view text) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  const std::string copy(text);
  Address address;
  if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) address.bits = 32;
  if (address.bits == 0 && inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) address.bits = 128;
  if (address.bits == 0) return {};
  return address;
}

bool within_block(std::string_view entry, const Address& host) {
  const auto slash = entry.find('/');
  const auto network = parse_address(entry.substr(0, slash));
  if (!network || network->bits != host.bits) return false;
  unsigned prefix = host.bits;
  if (slash != std::string_view::npos) {
    const auto text = entry.substr(slash + 1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), prefix);
    if (error != std::errc() || end != text.data() + text.size() || prefix > host.bits) return false;
  }
  for (unsigned i = 0; i < prefix; ++i) {
    if (((network->bytes[i / 8] ^ host.bytes[i / 8]) & (0x80 >> i % 8)) != 0) return false;
  }
  return true;
}

bool below(std::string_view entry, std::string_view host) {
  if (entry.ends_with('.')) entry.remove_suffix(1);
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty() || host.size() < entry.size()) return false;
  if (!http::equal_ignoring_case(host.substr(host.size() - entry.size()), entry)) return false;
  return host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.';
}

}  // namespace

Proxies Proxies::from_environment() {
  return {variable("http_proxy"), variable("https_proxy", "HTTPS_PROXY"), variable("all_proxy", "ALL_PROXY"),
          variable("no_proxy", "NO_PROXY")};
}

std::string Proxies::choose(const Origin& target) const {
  if (bypasses_proxy(none, target.host)) return {};
  const auto& own = target.scheme == "https" ? https : http;
  return own.empty() ? all : own;
}

bool bypasses_proxy(std::string_view list, std::string_view host) {
  if (list == "*") return true;
  if (host.ends_with('.')) host.remove_suffix(1);
  const auto address = parse_address(host);
  while (!list.empty()) {
    const auto end = list.find_first_of(", \t");
    const auto entry = list.substr(0, end);
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
    if (entry.empty()) continue;
    if (address ? within_block(entry, *address) : below(entry, host)) return true;
  }
  return false;
}

}  // namespace cistern::upstream
