#include "cache-agent/verify/one_shot_event.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>

namespace cistern::verify {

void OneShotEvent::set() {
  std::vector<std::function<void()>> waiters;
  {
    const std::lock_guard lock(mutex_);
    set_ = true;
    waiters.swap(waiters_);
  }
  for (const auto& resume : waiters) resume();
}

Awaitable<void> OneShotEvent::wait(std::shared_ptr<OneShotEvent> event) {
  const auto initiate = [event](auto handler) {
    // The coroutine, and this closure with it, may be gone as soon as another thread resumes it.
    const auto alive = event;  // NOLINT(performance-unnecessary-copy-initialization): that is what the copy is for
    // Handlers can only be moved and std::function wants to copy: hence the shared_ptr.
    const auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    const auto resume = [shared] { asio::post(asio::get_associated_executor(*shared), std::move(*shared)); };
    {
      const std::lock_guard lock(alive->mutex_);
      if (!alive->set_) {
        alive->waiters_.emplace_back(resume);
        return;
      }
    }
    resume();
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(initiate, asio::use_awaitable);
}

}  // namespace cistern::verify
