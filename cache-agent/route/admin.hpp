// The admin listener: /healthz, /readyz, /metrics, /status, POST /purge?pattern=.
#pragma once

#include <atomic>

#include "cache-agent/cache/cache.hpp"
#include "cache-agent/observe/metrics.hpp"
#include "cache-agent/route/router.hpp"
#include "cache-agent/store/store.hpp"
#include "http/server.hpp"

namespace cistern::route {

// Thread-safe.
class Admin {
 public:
  Admin(Router& router, observe::Metrics& metrics) : router_(router), metrics_(metrics) {}

  Awaitable<http::Response> serve(const http::Request& request);
  // /readyz answers 503 from now on: no new traffic is wanted.
  void drain() { draining_ = true; }

 private:
  http::Response status() const;
  Awaitable<http::Response> purge(const http::Request& request);

  Router& router_;
  observe::Metrics& metrics_;
  std::atomic<bool> draining_{false};
};

// How the upstreams of a configuration do: one for each name.
std::vector<observe::UpstreamStatus> upstream_states(const Runtime& runtime);

}  // namespace cistern::route
