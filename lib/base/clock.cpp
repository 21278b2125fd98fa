#include "base/clock.hpp"

#include <algorithm>

namespace cistern {

SteadyTime SystemClock::steady() const { return std::chrono::steady_clock::now(); }

WallTime SystemClock::wall() const { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

Deadline Deadline::after(const Clock& clock, std::chrono::milliseconds duration) { return Deadline{clock.steady() + duration}; }

bool Deadline::passed(const Clock& clock) const { return at != SteadyTime::max() && clock.steady() >= at; }

std::chrono::milliseconds Deadline::remaining(const Clock& clock) const {
  if (at == SteadyTime::max()) return std::chrono::hours(24 * 365);
  return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(at - clock.steady()));
}

}  // namespace cistern
