// How private a network address is: what keeps a redirect, a token realm or a DNS answer from turning the cache into a way into the
// machine or the network it runs in. Pure functions.
#pragma once

#include <optional>
#include <string_view>

struct sockaddr;

namespace cistern::upstream {

// In order: an upstream may send us to addresses no more private than its own.
enum class Scope {
  kPublic,
  kPrivate,   // RFC 1918, RFC 6598 (carrier-grade NAT), unique local IPv6, benchmarking
  kLoopback,  // and the unspecified address, by which Linux reaches loopback
  kNever,     // link-local, cloud metadata services, multicast, reserved, not IP at all
};

// By the address inside, where one is embedded (IPv4-mapped, NAT64, 6to4): that is where packets end up.
Scope scope_of(const sockaddr* address);

// Of a numeric host as URLs have it, IPv6 with or without brackets; of "localhost" and names below it too (RFC 6761). Empty: another name.
std::optional<Scope> scope_of_host(std::string_view host);

}  // namespace cistern::upstream
