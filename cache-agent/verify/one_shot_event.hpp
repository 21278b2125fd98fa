// Something that happens once, and that coroutines wait for on whichever executor they run.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/async.hpp"

namespace cistern::verify {

// Thread-safe; unlike Wake (base/wake.hpp) for any number of waiters, and on executors that run several handlers at once. Waiters are
// resumed through their own executors, never inside set().
class OneShotEvent {
 public:
  void set();
  // Resumes when set() was or is called. The event is kept alive by whoever waits.
  static Awaitable<void> wait(std::shared_ptr<OneShotEvent> event);

 private:
  std::mutex mutex_;
  bool set_ = false;
  std::vector<std::function<void()>> waiters_;
};

}  // namespace cistern::verify
