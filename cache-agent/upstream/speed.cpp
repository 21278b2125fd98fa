#include "cache-agent/upstream/speed.hpp"

#include <algorithm>

namespace cistern::upstream {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Weight of the newest time, and of whether the newest request failed.
constexpr double kNewestTime = 0.25;
constexpr double kNewestLately = 0.6;
constexpr double kNewestFailure = 0.1;
// What a sample may be at most, of what was expected.
constexpr int kMostTimes = 3;
constexpr milliseconds kMostBeyond{50};

microseconds towards(microseconds known, microseconds newest, double weight = kNewestTime) {
  return known + microseconds(static_cast<std::int64_t>(weight * static_cast<double>((newest - known).count())));
}

microseconds bounded(microseconds known, microseconds newest) { return std::min<microseconds>(newest, kMostTimes * known + kMostBeyond); }

void smooth(std::optional<microseconds>& known, microseconds newest) { known = known ? towards(*known, bounded(*known, newest)) : newest; }

void take(Track& track, microseconds first_byte, SteadyTime now) {
  track.last = now;
  if (track.samples++ == 0) {
    track.first_byte = track.lately = first_byte;
    return;
  }
  const auto sample = bounded(track.first_byte, first_byte);
  track.jitter = towards(track.jitter, std::chrono::abs(sample - track.first_byte));
  track.first_byte = towards(track.first_byte, sample);
  track.lately = towards(track.lately, sample, kNewestLately);
}

}  // namespace

void Speed::judged(bool failure) {
  measures_.asked = clock_.steady();
  measures_.failures += kNewestFailure * ((failure ? 1.0 : 0.0) - measures_.failures);
  if (measures_.failures < 1e-3) measures_.failures = 0;
}

void Speed::answered(const Timing& timing, Of what) {
  const std::lock_guard lock(mutex_);
  judged(false);
  take(what == Of::kProbe ? measures_.probes : measures_.requests, timing.first_byte, measures_.asked);
  if (timing.connect) smooth(measures_.connect, *timing.connect);
}

void Speed::whole(microseconds total) {
  const std::lock_guard lock(mutex_);
  smooth(measures_.total, total);
}

void Speed::failed() {
  const std::lock_guard lock(mutex_);
  judged(true);
}

Measures Speed::measures() const {
  const std::lock_guard lock(mutex_);
  return measures_;
}

}  // namespace cistern::upstream
