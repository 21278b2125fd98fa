// Time, passed in. Durations are measured on the steady clock; what is stored or sent is wall time.
#pragma once

#include <chrono>

namespace cistern {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::sys_seconds;

// Thread-safe. Tests pass one that they move by hand (tests/fakes/manual_clock.hpp).
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime steady() const = 0;
  virtual WallTime wall() const = 0;
};

// The machine's clocks.
class SystemClock final : public Clock {
 public:
  SteadyTime steady() const override;
  WallTime wall() const override;
};

// A point in time by which something must be done; a value that is passed down. The default is "never".
struct Deadline {
  SteadyTime at = SteadyTime::max();

  static Deadline after(const Clock& clock, std::chrono::milliseconds duration);
  bool passed(const Clock& clock) const;
  // Zero when passed.
  std::chrono::milliseconds remaining(const Clock& clock) const;
};

}  // namespace cistern
