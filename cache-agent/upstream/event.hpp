// A flag that one coroutine waits for and any thread sets. It clears itself when the wait ends.
//
// The waiting is a timer of the coroutine's own executor, so the coroutine is resumed there, never on the thread that notifies, and goes
// away with its io_context like any other: nothing of it is kept elsewhere that would have to outlive it.
#pragma once

#include "base/async.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <mutex>
#include <set>

namespace cistern::upstream {

class Event {
  class Waits;
  struct Registration;

 public:
  // Any thread.
  void notify() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    if (timer_ != nullptr) timer_->cancel();
  }

  // One coroutine at a time. May also return early: the caller looks at its condition again. The event must outlive the wait.
  Awaitable<> wait() {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, asio::steady_timer::time_point::max());
    const Registration registration(*this, asio::use_service<Waits>(asio::query(executor, asio::execution::context)));
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
  void forget_timer() {
    const std::lock_guard lock(mutex_);
    timer_ = nullptr;
    set_ = false;
  }

  // An io_context that ends empties its timers without a lock. It first shuts down what was added to it last, which is this: from then on
  // no notify() touches a timer of its.
  class Waits final : public asio::execution_context::service {
   public:
    using key_type = Waits;
    static inline asio::execution_context::id id;
    explicit Waits(asio::execution_context& context) : service(context) {}

    void add(Event& event) {
      const std::lock_guard lock(mutex_);
      events_.insert(&event);
    }
    void remove(Event& event) {
      const std::lock_guard lock(mutex_);
      events_.erase(&event);
    }

   private:
    void shutdown() noexcept override {
      const std::lock_guard lock(mutex_);
      for (auto* event : events_) event->forget_timer();
    }

    std::mutex mutex_;
    std::set<Event*> events_;
  };

  struct Registration {
    Registration(Event& what, Waits& among) : event(what), waits(among) { waits.add(event); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration() {
      waits.remove(event);
      event.forget_timer();
    }
    Event& event;
    Waits& waits;
  };

  std::mutex mutex_;
  bool set_ = false;
  asio::steady_timer* timer_ = nullptr;
};

}  // namespace cistern::upstream
