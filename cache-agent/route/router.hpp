// The first to see a request: which listener, who asks, which ecosystem.
#pragma once

#include <memory>
#include <mutex>

#include "cache-agent/limit/rate_limit.hpp"
#include "cache-agent/peers/sign.hpp"
#include "cache-agent/route/respond.hpp"
#include "cache-agent/route/runtime.hpp"
#include "http/server.hpp"

namespace cistern::route {

// Which door a request came in by. kBoth: standalone mode's single listener.
enum class Door { kNode, kPods, kBoth };

// Thread-safe.
class Router {
 public:
  explicit Router(std::shared_ptr<const Runtime> runtime);

  // From now on; requests under way end with the one they began with.
  void use(std::shared_ptr<const Runtime> runtime);
  std::shared_ptr<const Runtime> runtime() const;

  Awaitable<http::Response> serve(Door door, const http::Request& request);

 private:
  struct State {
    std::shared_ptr<const Runtime> runtime;
    std::shared_ptr<limit::RateLimiter> limiter;
  };
  State state() const;
  Result<Asker> asker_of(Door door, const http::Request& request, const Runtime& runtime);

  mutable std::mutex mutex_;
  State state_;
  peers::Verifier verifier_;
};

}  // namespace cistern::route
