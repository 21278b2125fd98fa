// One coroutine waits, other threads wake it; and work handed to a pool.
#pragma once

#include "base/async.hpp"

#include <atomic>
#include <chrono>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

namespace cistern {

// Belongs to the one coroutine that waits, and to its executor, which must not run two handlers at once (an io_context with one thread, or
// a strand). notify() may be called from any thread, and before the wait: it is remembered.
class Wake {
 public:
  explicit Wake(const asio::any_io_executor& executor) : state_(std::make_shared<State>(executor)) {}

  // True after a notify(), false when `limit` is over.
  Awaitable<bool> wait(std::chrono::milliseconds limit) {
    const auto state = state_;
    if (state->notified.exchange(false)) co_return true;
    boost::system::error_code ignored;
    state->timer.expires_after(limit);
    co_await state->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return state->notified.exchange(false);
  }
  Awaitable<bool> wait() { return wait(std::chrono::hours(24 * 365)); }

  void notify() const {
    if (state_->notified.exchange(true)) return;
    asio::post(state_->timer.get_executor(), [state = state_] { state->timer.cancel(); });
  }

 private:
  struct State {
    explicit State(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    std::atomic<bool> notified{false};
  };
  std::shared_ptr<State> state_;
};

// Runs a function that blocks on a pool and gives its result to the coroutine, which goes on where it was. The function is to be a named
// variable that is moved in: GCC 12 destroys a lambda (or any aggregate) that is a temporary in a co_await expression twice.
template <class Function>
auto run_on(asio::thread_pool& pool, Function function) -> Awaitable<decltype(function())> {
  struct Job {
    Function function;
    std::unique_ptr<decltype(function())> value;
  };
  auto job = std::make_shared<Job>(Job{std::move(function), nullptr});
  Wake wake(co_await asio::this_coro::executor);
  asio::post(pool, [job, wake] {
    job->value = std::make_unique<decltype(job->function())>(job->function());
    wake.notify();
  });
  while (!co_await wake.wait()) {
  }
  co_return std::move(*job->value);
}

}  // namespace cistern
