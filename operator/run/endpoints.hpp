// What the operator answers over HTTP: /metrics on one listener, /healthz and /readyz on another.
#pragma once

#include "http/server.hpp"
#include "operator/reconcile/controllers.hpp"
#include "operator/reconcile/metrics.hpp"

namespace cistern::run {

// Thread-safe; outlives its server.
class Endpoints {
 public:
  Endpoints(const reconcile::Metrics& metrics, const reconcile::Controllers& controllers) : metrics_(metrics), controllers_(controllers) {}

  Awaitable<http::Response> metrics(const http::Request& request) const;
  // /healthz: the process lives. /readyz: everything has been listed once, else 503 that says what has not.
  Awaitable<http::Response> health(const http::Request& request) const;

 private:
  const reconcile::Metrics& metrics_;
  const reconcile::Controllers& controllers_;
};

Result<std::unique_ptr<http::Server>> open_server(const Endpoints& endpoints, const std::string& metrics_address,
                                                  const std::string& health_address);

}  // namespace cistern::run
