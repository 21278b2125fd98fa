// How one agent shows another that it is of the same group: a header with an HMAC-SHA-256 over what is asked, when, and a number used once.
//
//   X-Cistern-Peer: v=1;key=<id>;time=<unix seconds>;nonce=<32 hex digits>;hop=<n>;mac=<64 hex digits>
//
// The key comes from the group's Secret and is known by its id, which tells nothing about it. `hop` says how many agents the request has
// passed: an owner that sees 1 does not ask another peer, so that two agents which disagree about the owner do not ask each other in a
// circle.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace cistern::peers {

constexpr std::string_view kPeerHeader = "X-Cistern-Peer";
constexpr std::chrono::seconds kMaxSkew{30};
constexpr unsigned kMaxHops = 1;

// What is signed. `target` is as sent, query included; `scope` is what else decides about the answer and both sides know: the listener and
// view on whose behalf it is asked, "node/" or "pods/dev".
struct Signable {
  std::string_view method;
  std::string_view target;
  std::string_view scope;
};

// The header's value; a new nonce each time, so a request that is sent again is signed again. Thread-safe.
std::string sign(const Signable& request, unsigned hop, std::string_view key, WallTime now);

struct Keys {
  std::string current;
  std::string previous;  // accepted while keys rotate; may be empty
};

// Checks headers and remembers nonces. Thread-safe; one for each process, kept over reloads.
class Verifier {
 public:
  // `max_nonces` bounds what is remembered for each minute; more verified requests than that are refused, as forgetting would allow
  // replays.
  explicit Verifier(std::size_t max_nonces = 1 << 18) : max_nonces_(max_nonces) {}

  // The hop count of a request that is genuine. kForbidden: malformed, unknown key, forged, too old or too new (check the clocks),
  // replayed, or over kMaxHops; kUnavailable when too many came in a minute. The messages may be sent to the asker: they hold nothing of
  // the key or of the right MAC.
  Result<unsigned> verify(const Signable& request, std::string_view header, const Keys& keys, WallTime now);

 private:
  using Nonce = std::array<std::uint8_t, 16>;
  struct NonceHash {
    std::size_t operator()(const Nonce& nonce) const;
  };

  Result<void> remember(const Nonce& nonce, WallTime now);

  const std::size_t max_nonces_;
  std::mutex mutex_;
  // A nonce is of use for 2 × kMaxSkew at most; two generations of that length hold each for at least as long.
  std::unordered_set<Nonce, NonceHash> young_, old_;
  WallTime generation_began_{};
};

}  // namespace cistern::peers
