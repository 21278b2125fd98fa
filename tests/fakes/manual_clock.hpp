// A clock that a test moves by hand. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.hpp"

namespace cistern::fakes {

class ManualClock final : public Clock {
 public:
  SteadyTime steady() const override { return SteadyTime(std::chrono::milliseconds(now_)); }
  WallTime wall() const override { return WallTime(std::chrono::seconds(1'750'000'000 + now_ / 1000)); }
  void advance(std::chrono::milliseconds duration) { now_ += duration.count(); }

 private:
  std::atomic<std::int64_t> now_{1'000'000};  // milliseconds since the steady epoch
};

}  // namespace cistern::fakes
