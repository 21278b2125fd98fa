// Asking others: the one way out of the cache-agent, to upstreams and to peers alike.
//
// A Transfer is one answer on its way in. It is opened by a Client, which has by then chosen a pooled connection, added credentials (Basic,
// or a Bearer token after the registry's challenge), followed redirects hop by hop under the rules below, and retried with jitter what
// may be retried before the first byte. What can be told from outside is: a head, then bytes, then the end or an error.
//
// Failures keep their meaning (architecture, rule 6). open() gives an Error only where there is no answer at all: kTimeout (connect, first
// byte), kUpstream (refused, reset, TLS, nonsense), kUnavailable (breaker open), kForbidden (address or redirect not allowed), kCancelled.
// Any HTTP status is an answer, 5xx included; an upstream's 401 that credentials do not cure arrives as 401.
//
// Redirects (rule 8): http and https only, https never to http, at most 10; Authorization and cookies are dropped when host, port or scheme
// changes; the address that a name resolves to may not be more private than the upstream's own, and is never link-local or a metadata
// address, checked as the socket is opened (so DNS can not change between).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "config/model.hpp"
#include "http/message.hpp"

namespace cistern::upstream {

struct Head {
  unsigned status = 0;
  http::Headers headers;  // of the final hop; names as sent. Without Content-Encoding and Content-Length where the body was decoded
  // Content-Length of an identity body; absent if unknown or if the body is content-encoded (it is passed on decoded).
  std::optional<std::uint64_t> length;
  std::string url;  // of the final hop, without query (signed URLs are secrets)
};

// One answer. Used by one coroutine at a time, on any executor; destroying it ends the transfer and lets the connection go.
class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual const Head& head() const = 0;
  // The next bytes, at most 256 KiB, gathered so that a hop between threads pays; empty at the end. While nobody calls it, at most a
  // fixed window (512 KiB) is taken from the network: the connection is paused, not buffered. Errors: kTimeout (nothing, or under 1 KiB/s,
  // for `idle`), kUpstream (cut off, shorter than Content-Length), kCancelled.
  virtual Awaitable<Result<std::string>> read() = 0;
};

enum class Verb { kGet, kHead };

struct Ask {
  Verb verb = Verb::kGet;
  std::string target;     // path and query, appended to the upstream's URL; starts with '/'
  http::Headers headers;  // Accept, If-Range …; never Authorization of a client
  // For registries: "repository:NAME:pull" scope for the token; empty for Go and where the challenge's own scope is to be used.
  std::string scope;
  std::uint64_t offset = 0;  // > 0: "Range: bytes=offset-"; an answer that is not 206 with the right Content-Range start is still handed
                             // over: the caller checks head()
  std::optional<std::chrono::milliseconds> first_byte;  // instead of the configuration's
  bool retry = true;                                    // false: one attempt (the caller has somewhere else to go)
  bool bulk = false;  // a body that may be large: HTTP/1.1, since paused HTTP/2 streams buffer. Else HTTP/2 where https offers it
  // Asked only to see how long an answer takes (selection.hpp): challenges and redirects are answers, nothing is tried again.
  bool probe = false;
};

// What one exchange took.
struct Timing {
  std::optional<std::chrono::microseconds> connect;  // TCP and TLS, where a connection was made for it
  std::chrono::microseconds first_byte{0};           // from the request to the head; of all hops together
};

// The time to the first byte, smoothed, and how much it varies (mean deviation).
struct Track {
  std::uint64_t samples = 0;
  std::chrono::microseconds first_byte{0};
  std::chrono::microseconds jitter{0};
  SteadyTime last{};
  std::chrono::microseconds lately{0};  // the time to the first byte, of the last few: whether a slowness is over
};

// How fast an upstream was. Requests and probes are kept apart: an object may take longer than a probe however near the upstream is, so
// only like is compared with like.
struct Measures {
  Track requests;
  Track probes;
  std::optional<std::chrono::microseconds> connect;  // smoothed
  std::optional<std::chrono::microseconds> total;    // to the last byte of bodies up to 64 KiB, smoothed
  double failures = 0;                               // the share of what was asked lately
  SteadyTime asked{};                                // when it was asked last, whatever for

  // What is shown: the requests' where there were any.
  const Track& track() const { return requests.samples > 0 ? requests : probes; }
  // Lower is better: the time to the first byte, its jitter, and a second for a failure, by their share. Of either track.
  std::chrono::microseconds score(const Track& track) const {
    return track.first_byte + track.jitter + std::chrono::microseconds(static_cast<std::int64_t>(1e6 * failures));
  }
};

// A canary compared with the other upstreams of its list; see canary.hpp.
struct CanaryHealth {
  enum class State { kActive = 0, kOnTrial = 1, kWithdrawn = 2 };
  struct Side {
    std::uint64_t asked = 0;
    std::uint64_t failed = 0;
    std::optional<std::chrono::milliseconds> first_byte;  // median
  };
  State state = State::kActive;
  unsigned percent = 0;
  Side canary, rest;                             // of the last ten minutes; of a withdrawn one: when it was withdrawn
  std::string reason;                            // why it is withdrawn
  std::optional<std::chrono::seconds> retry_in;  // of a withdrawn one
  std::uint64_t withdrawals = 0;
};

// How one upstream does, for metrics, the live status and selection.
enum class BreakerState { kClosed = 0, kHalfOpen = 1, kOpen = 2 };
struct Health {
  BreakerState state = BreakerState::kClosed;
  unsigned consecutive_failures = 0;
  std::string last_error;
  bool refuses = false;  // asking now would be refused without a dial: open, probed by another, or held back by its Retry-After
  Measures measures;
  std::optional<CanaryHealth> canary;  // of an upstream with a rollout
};

class Canary;

// One upstream or peer: its URL, credentials, connection pool share, breaker and measurements. Thread-safe.
class Upstream {
 public:
  virtual ~Upstream() = default;
  virtual const std::string& name() const = 0;
  // Opens an answer. Coroutine on any executor.
  virtual Awaitable<Result<std::unique_ptr<Transfer>>> open(Ask ask) = 0;
  virtual Health health() const = 0;
  // The cache says what it thinks of an answer that only it can judge (wrong digest): counts as a failure.
  virtual void blame(std::string_view reason) = 0;
  // Of an upstream with a rollout; lives as long as the upstream. Null: it has none.
  virtual Canary* canary() { return nullptr; }
};

struct Settings {
  config::Timeouts timeouts;
  unsigned retries = 3;
  config::Breaker breaker;
};

// Called for each finished exchange with an upstream; thread-safe. `code`: the status, or 0 where there was none.
struct Observer {
  virtual ~Observer() = default;
  virtual void answered(std::string_view upstream, unsigned code) = 0;
  virtual void received(std::string_view upstream, std::uint64_t bytes) = 0;
};

// The network: a thread with libcurl's multi handle on Asio. Makes Upstreams, which keep it alive. A reload makes new Upstreams from the
// new configuration on the same Client, whose connections are kept; state (breaker, tokens) is carried over where an upstream's
// configuration did not change.
class Client {
 public:
  // Both must outlive the client, its upstreams and their transfers. Proxy variables of the environment are read here, once.
  static std::unique_ptr<Client> make(const Clock& clock, Observer& observer);
  virtual ~Client() = default;
  virtual std::shared_ptr<Upstream> upstream(const config::Upstream& configuration, const Settings& settings) = 0;
  // A peer is an upstream without breaker retries, credentials, redirects or proxy variables: http://ADDRESS. It counts under the name
  // "peer".
  virtual std::shared_ptr<Upstream> peer(const std::string& address, const Settings& settings) = 0;
  // For the end of the process: everything under way, and whatever is asked for later, ends soon with kCancelled. Thread-safe.
  virtual void stop() = 0;
};

}  // namespace cistern::upstream
