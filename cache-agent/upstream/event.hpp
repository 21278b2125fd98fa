// A flag that one coroutine waits for and any thread sets. It clears itself when the wait ends.
//
// The waiting is a timer of the coroutine's own executor, so the coroutine is resumed there, never on the thread that notifies, and goes
// away with its io_context like any other: nothing of it is kept elsewhere that would have to outlive it.
#pragma once

#include "base/async.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <mutex>

namespace cistern::upstream {

class Event {
 public:
  // Any thread.
  void notify() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    if (timer_ != nullptr) timer_->cancel();
  }

  // One coroutine at a time. May also return early: the caller looks at its condition again. The event must outlive the wait.
  Awaitable<> wait() {
    asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    const Registration registration{*this};
    boost::system::error_code ignored;
    auto token = asio::redirect_error(asio::use_awaitable, ignored);
    // The timer is touched under the lock only, so that notify() may cancel it from another thread.
    co_await asio::async_initiate<decltype(token), void(boost::system::error_code)>(
        [this, &timer](auto&& handler) {
          const std::lock_guard lock(mutex_);
          timer_ = &timer;
          if (set_) timer.expires_at(asio::steady_timer::clock_type::now());
          timer.async_wait(std::forward<decltype(handler)>(handler));
        },
        token);
  }

 private:
  struct Registration {
    Event& event;
    ~Registration() {
      const std::lock_guard lock(event.mutex_);
      event.timer_ = nullptr;
      event.set_ = false;
    }
  };

  std::mutex mutex_;
  bool set_ = false;
  asio::steady_timer* timer_ = nullptr;
};

}  // namespace cistern::upstream
