// Waiting by a clock that is passed in. Private to this folder.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "base/clock.hpp"

namespace cistern::kube {

// Until the clock says so, or `stop` is asked for; false then. A clock can not wake anybody, so it is looked at again and again.
inline bool pause_until(const Clock& clock, SteadyTime until, const std::stop_token& stop,
                        std::chrono::milliseconds step = std::chrono::milliseconds(50)) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested() && clock.steady() < until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock.steady());
    never.wait_for(lock, stop, std::min(left, step), [] { return false; });
  }
  return !stop.stop_requested();
}

}  // namespace cistern::kube
