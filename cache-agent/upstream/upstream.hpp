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
};

// How one upstream does, for metrics, the live status and selection.
enum class BreakerState { kClosed = 0, kHalfOpen = 1, kOpen = 2 };
struct Health {
  BreakerState state = BreakerState::kClosed;
  unsigned consecutive_failures = 0;
  std::optional<std::chrono::milliseconds> latency;  // smoothed time to the first byte
  std::string last_error;
  bool refuses = false;  // asking now would be refused without a dial: open, probed by another, or held back by its Retry-After
};

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

// The order in which to ask. Upstreams keep their places; with kFastest, neighbours with equal `match` and `fallback` are ordered by
// measured latency (one not measured yet goes first, so that it is), and those whose breaker is open go last within their run of
// neighbours; their places are swapped only for a gain of more than 20 %. `weights` spreads objects by key hash over the neighbours of
// equal rank.
std::vector<std::shared_ptr<Upstream>> ordered(const std::vector<std::pair<const config::Upstream*, std::shared_ptr<Upstream>>>& candidates,
                                               config::Selection selection, std::uint64_t key_hash);

}  // namespace cistern::upstream
