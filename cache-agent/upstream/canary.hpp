// A canary: an upstream that gets a stable share of the objects, for as long as it does no worse than the other upstreams of its list.
//
//   active ──(worse)──► withdrawn ──(its time has passed)──► on trial ──(half an hour and 20 objects without being worse)──► active
//                           ▲                                   │
//                           └──────────────(worse)──────────────┘
//
// Worse, of what was asked in the last ten minutes (at most 200 objects of each side):
//  - 5 failures in a row, while fewer than half of the rest's objects fail; or
//  - of at least 20 objects, its share of failures is more than 5 points above the rest's; or
//  - of at least 20 objects of each side, the median of its times to the first byte is more than twice the rest's and 100 ms.
// A failure is no answer, a 5xx, a 429, a refusal, a wrong or broken body; and a "not found" where the rest then has the object. It is
// withdrawn for 10 minutes, then for twice as long each time, up to 6 hours. All of it is forgotten when the upstream's configuration
// changes or the agent starts.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "base/clock.hpp"
#include "cache-agent/upstream/upstream.hpp"

namespace cistern::upstream {

// How asking for one object went.
struct Outcome {
  bool ok = false;
  std::optional<std::chrono::microseconds> first_byte;
};

// Thread-safe.
class Canary {
 public:
  enum class Side { kCanary, kRest };

  Canary(const Clock& clock, unsigned percent) : clock_(clock), percent_(percent) {}

  // Whether it gets its share now.
  bool admitted();
  // Tells of an object that belongs to the share, or could have.
  void record(Side side, const Outcome& outcome);
  CanaryHealth health() const;

 private:
  struct Sample {
    SteadyTime at;
    bool ok;
    std::optional<std::chrono::microseconds> first_byte;
  };
  using Samples = std::deque<Sample>;
  using State = CanaryHealth::State;

  void forget_old(SteadyTime now);
  std::string worse() const;
  void withdraw(std::string reason, SteadyTime now);
  void begin_trial(SteadyTime now);
  static CanaryHealth::Side summary(const Samples& samples);

  const Clock& clock_;
  const unsigned percent_;
  mutable std::mutex mutex_;
  State state_ = State::kActive;
  Samples canary_, rest_;
  unsigned failures_in_a_row_ = 0;
  unsigned withdrawn_in_a_row_ = 0;
  std::uint64_t withdrawals_ = 0;
  std::uint64_t objects_on_trial_ = 0;
  SteadyTime until_{};  // withdrawn, or on trial
  CanaryHealth::Side canary_then_, rest_then_;
  std::string reason_;
};

}  // namespace cistern::upstream
