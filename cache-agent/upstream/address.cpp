#include "cache-agent/upstream/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "http/message.hpp"

namespace cistern::upstream {
namespace {

using Ipv6 = std::array<std::uint8_t, 16>;

struct Range4 {
  std::uint32_t network;
  unsigned bits;
  Scope scope;
};

constexpr std::uint32_t ipv4(unsigned a, unsigned b, unsigned c, unsigned d) { return a << 24 | b << 16 | c << 8 | d; }

// The first that matches.
constexpr std::array kRanges4{
    Range4{ipv4(100, 100, 100, 200), 32, Scope::kNever},  // Alibaba's metadata service
    Range4{ipv4(168, 63, 129, 16), 32, Scope::kNever},    // Azure's wire server
    Range4{ipv4(192, 0, 0, 192), 32, Scope::kNever},      // Oracle's metadata service
    Range4{ipv4(169, 254, 0, 0), 16, Scope::kNever},      // link-local; 169.254.169.254 is everybody's metadata service
    Range4{ipv4(224, 0, 0, 0), 3, Scope::kNever},         // multicast, reserved, broadcast
    Range4{ipv4(0, 0, 0, 0), 8, Scope::kLoopback},        //
    Range4{ipv4(127, 0, 0, 0), 8, Scope::kLoopback},      //
    Range4{ipv4(10, 0, 0, 0), 8, Scope::kPrivate},        //
    Range4{ipv4(172, 16, 0, 0), 12, Scope::kPrivate},     //
    Range4{ipv4(192, 168, 0, 0), 16, Scope::kPrivate},    //
    Range4{ipv4(100, 64, 0, 0), 10, Scope::kPrivate},     //
    Range4{ipv4(192, 0, 0, 0), 24, Scope::kPrivate},      //
    Range4{ipv4(198, 18, 0, 0), 15, Scope::kPrivate},     //
};

struct Range6 {
  Ipv6 network;
  unsigned bits;
  Scope scope;
};

constexpr std::array kRanges6{
    Range6{
        {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Scope::kNever},  // fd00:ec2::254, AWS's metadata service
    Range6{{0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Scope::kNever},  // fd20:ce::254, Google's
    Range6{{0xfe, 0x80}, 10, Scope::kNever},                                                         // link-local
    Range6{{0xff}, 8, Scope::kNever},                                                                // multicast
    Range6{{0xfe, 0xc0}, 10, Scope::kPrivate},                                                       // site-local, deprecated
    Range6{{0xfc}, 7, Scope::kPrivate},                                                              // unique local
    Range6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, Scope::kLoopback},                 //
    Range6{{}, 128, Scope::kLoopback},                                                               // unspecified
};

Scope scope_of_ipv4(std::uint32_t address) {
  for (const auto& range : kRanges4) {
    if ((address ^ range.network) >> (32 - range.bits) == 0) return range.scope;
  }
  return Scope::kPublic;
}

bool within(const Ipv6& address, const Ipv6& network, unsigned bits) {
  for (unsigned i = 0; i < bits; ++i) {
    if (((address[i / 8] ^ network[i / 8]) & (0x80 >> i % 8)) != 0) return false;
  }
  return true;
}

std::uint32_t embedded(const Ipv6& address, std::size_t at) { return ipv4(address[at], address[at + 1], address[at + 2], address[at + 3]); }

Scope scope_of_ipv6(const Ipv6& address) {
  for (const auto& range : kRanges6) {
    if (within(address, range.network, range.bits)) return range.scope;
  }
  constexpr Ipv6 kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr Ipv6 kCompatible{};
  constexpr Ipv6 kNat64{0x00, 0x64, 0xff, 0x9b};
  constexpr Ipv6 kLocalNat64{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
  constexpr Ipv6 k6to4{0x20, 0x02};
  if (within(address, kMapped, 96) || within(address, kCompatible, 96) || within(address, kNat64, 96)) {
    return scope_of_ipv4(embedded(address, 12));
  }
  if (within(address, kLocalNat64, 48)) return std::max(Scope::kPrivate, scope_of_ipv4(embedded(address, 12)));
  if (within(address, k6to4, 16)) return scope_of_ipv4(embedded(address, 2));
  return Scope::kPublic;
}

}  // namespace

Scope scope_of(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return scope_of_ipv4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    Ipv6 bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return scope_of_ipv6(bytes);
  }
  return Scope::kNever;
}

std::optional<Scope> scope_of_host(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string text(host.substr(0, host.find('%')));  // without an IPv6 zone
  in_addr four{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) return scope_of_ipv4(ntohl(four.s_addr));
  Ipv6 six;
  if (inet_pton(AF_INET6, text.c_str(), six.data()) == 1) return scope_of_ipv6(six);
  if (host.ends_with('.')) host.remove_suffix(1);
  constexpr std::string_view kLocalhost = "localhost";
  if (host.size() < kLocalhost.size() || !http::equal_ignoring_case(host.substr(host.size() - kLocalhost.size()), kLocalhost)) return {};
  if (host.size() == kLocalhost.size() || host[host.size() - kLocalhost.size() - 1] == '.') return Scope::kLoopback;
  return {};
}

}  // namespace cistern::upstream
