// Time as the API writes it where microseconds count (MicroTime). Private to this folder.
#pragma once

#include <fmt/chrono.h>

#include <string>

#include "base/clock.hpp"

namespace cistern::kube {

// "2026-01-31T12:00:00.000000Z"; the clock gives whole seconds, and the API server refuses a MicroTime without its digits.
inline std::string microtime(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.000000Z", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace cistern::kube
