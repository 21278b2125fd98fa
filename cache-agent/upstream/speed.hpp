// How fast an upstream answers, smoothed (Measures). Each sample is bounded by what is known already, so that one answer that took ten
// seconds does not outweigh a hundred that did not, and a change that stays is seen within a few. Thread-safe.
#pragma once

#include <mutex>

#include "base/clock.hpp"
#include "cache-agent/upstream/upstream.hpp"

namespace cistern::upstream {

class Speed {
 public:
  enum class Of { kRequest, kProbe };

  explicit Speed(const Clock& clock) : clock_(clock) {}

  void answered(const Timing& timing, Of what);
  // All of a small body came.
  void whole(std::chrono::microseconds total);
  // No answer, a 5xx, or a body that was cut.
  void failed();
  Measures measures() const;

 private:
  void judged(bool failure);

  const Clock& clock_;
  mutable std::mutex mutex_;
  Measures measures_;
};

}  // namespace cistern::upstream
