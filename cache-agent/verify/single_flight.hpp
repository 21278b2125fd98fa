// One piece of work in progress for each key, however many ask for its result.
#pragma once

#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/async.hpp"
#include "base/error.hpp"
#include "cache-agent/verify/one_shot_event.hpp"

namespace cistern::verify {

// Thread-safe; outlives the coroutines that use it.
template <class T>
class SingleFlight {
 public:
  // Runs `work` in the caller's coroutine unless work for `key` is in progress: then drops it, not started, and waits for that
  // result. Results are not kept. What `work` throws becomes kInternal. If the coroutine that works is destroyed, as happens only when
  // its io_context goes away at the program's end, those that wait are never resumed: their own may be gone already.
  Awaitable<Result<T>> run(std::string key, Awaitable<Result<T>> work) {
    auto [flight, mine] = join(key);
    if (!mine) {
      co_await OneShotEvent::wait(flight->landed);
      co_return flight->result;
    }
    const Landing landing{*this, key, flight.get()};
    try {
      flight->result = co_await std::move(work);
    } catch (const std::exception& exception) {
      flight->result = fail(ErrorCode::kInternal, "{}", exception.what());
    }
    leave(key, flight.get());
    flight->landed->set();
    co_return flight->result;
  }

 private:
  struct Flight {
    // Written before `landed` is set, read after.
    Result<T> result;
    std::shared_ptr<OneShotEvent> landed = std::make_shared<OneShotEvent>();
  };

  // Frees the key when the coroutine is destroyed in the middle.
  struct Landing {
    SingleFlight& flights;
    const std::string& key;
    const Flight* flight;
    ~Landing() { flights.leave(key, flight); }
  };

  // The next one may be in progress under the same key by now.
  void leave(const std::string& key, const Flight* flight) {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(key);
    if (found != flights_.end() && found->second.get() == flight) flights_.erase(found);
  }

  std::pair<std::shared_ptr<Flight>, bool> join(const std::string& key) {
    const std::lock_guard lock(mutex_);
    auto& flight = flights_[key];
    const bool mine = flight == nullptr;
    if (mine) flight = std::make_shared<Flight>();
    return {flight, mine};
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace cistern::verify
