// Leaves an upstream alone for a while after it has failed several times in a row, or has asked for it.
//
//   closed ──(`failures` in a row)──► open ──(open_for has passed; the next to ask is the probe)──► half-open
//      ▲                                ▲                                                              │
//      └──────────(the probe: any answer below 500)───────────────────────────(it failed)──────────────┘
//
// Failures are 5xx, timeouts, refused and reset connections, bodies cut short, and what the cache blames. 4xx are answers. A 429 with
// Retry-After holds everybody back for that long, whatever the state. Thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "cache-agent/upstream/upstream.hpp"
#include "config/model.hpp"

namespace cistern::upstream {

class Breaker {
 public:
  explicit Breaker(const Clock& clock) : clock_(clock) {}

  // Leave to ask, once. A probe that is dropped without success() or failure() makes room for the next.
  class Permit {
   public:
    Permit(Breaker& breaker, bool probe) : breaker_(&breaker), probe_(probe) {}
    Permit(Permit&& other) noexcept : breaker_(other.breaker_), probe_(std::exchange(other.probe_, false)) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit();
    bool probe() const { return probe_; }

   private:
    Breaker* breaker_;
    bool probe_;
  };

  // kUnavailable while open, kTooManyRequests while held back; both with retry_after. The permit must not outlive the breaker.
  Result<Permit> enter(const config::Breaker& settings);
  // A head below 500 came: a probe closes the breaker. Failures in a row are counted on until a whole answer has come, by success().
  void answered();
  void success();
  // `reason` without secrets: it is shown.
  void failure(const config::Breaker& settings, std::string reason);
  // Bounded by a minute.
  void hold(std::chrono::seconds duration);
  // Whether one more request of somebody who has a permit may go out.
  bool closed() const;
  Health health() const;

 private:
  void probe_dropped();

  const Clock& clock_;
  mutable std::mutex mutex_;
  BreakerState state_ = BreakerState::kClosed;
  bool probing_ = false;
  unsigned failures_ = 0;
  SteadyTime open_until_{};
  SteadyTime held_until_{};
  std::string last_error_;
};

}  // namespace cistern::upstream
