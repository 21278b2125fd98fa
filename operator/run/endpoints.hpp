// What the operator answers over HTTP: /metrics on one listener, /healthz and /readyz on another.
#pragma once

#include <chrono>
#include <optional>

#include "base/clock.hpp"
#include "http/server.hpp"
#include "operator/reconcile/controllers.hpp"
#include "operator/reconcile/metrics.hpp"

namespace cistern::run {

// Thread-safe; outlives its server.
class Endpoints {
 public:
  // `clock` outlives it. With `serves_webhook` a replica is ready once it can answer reviews too, but not later than kWebhookGrace after
  // everything has been listed: caches need an operator, even one that injects nothing.
  Endpoints(const reconcile::Metrics& metrics, const reconcile::Controllers& controllers, const Clock& clock, bool serves_webhook)
      : metrics_(metrics), controllers_(controllers), clock_(clock), serves_webhook_(serves_webhook) {}

  static constexpr std::chrono::seconds kWebhookGrace{15};

  Awaitable<http::Response> metrics(const http::Request& request) const;
  // /healthz: the process lives. /readyz: everything has been listed once, and the webhook is served, else 503 that says what is missing.
  Awaitable<http::Response> health(const http::Request& request) const;

 private:
  const reconcile::Metrics& metrics_;
  const reconcile::Controllers& controllers_;
  const Clock& clock_;
  const bool serves_webhook_;
  // When everything was first seen to have been listed. One thread answers.
  mutable std::optional<SteadyTime> synced_since_;
};

Result<std::unique_ptr<http::Server>> open_server(const Endpoints& endpoints, const std::string& metrics_address,
                                                  const std::string& health_address);

}  // namespace cistern::run
