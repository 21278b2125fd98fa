#include "operator/run/endpoints.hpp"

namespace cistern::run {

Awaitable<http::Response> Endpoints::metrics(const http::Request& request) const {
  if (request.path() != "/metrics") co_return http::Response::text(404, "nothing here; this listener has /metrics");
  auto response = http::Response::text(200, std::string());
  response.headers.set("Content-Type", reconcile::Metrics::kContentType);
  response.body = http::Body::of(metrics_.text());
  co_return response;
}

Awaitable<http::Response> Endpoints::health(const http::Request& request) const {
  if (request.path() == "/healthz") co_return http::Response::text(200, "ok");
  if (request.path() != "/readyz") co_return http::Response::text(404, "nothing here; this listener has /healthz and /readyz");
  if (controllers_.has_synced()) {
    if (!synced_since_) synced_since_ = clock_.steady();
    const bool waits = serves_webhook_ && !controllers_.webhook_ready() && clock_.steady() - *synced_since_ < kWebhookGrace;
    if (!waits) co_return http::Response::text(200, "ready");
    co_return http::Response::text(503, "the webhook has no certificate yet (Secret cistern-webhook)");
  }
  std::string why = "not everything has been listed yet";
  for (const auto& line : controllers_.cluster().troubles()) why += "\n" + line;
  co_return http::Response::text(503, why);
}

Result<std::unique_ptr<http::Server>> open_server(const Endpoints& endpoints, const std::string& metrics_address,
                                                  const std::string& health_address) {
  std::vector<http::ListenerOptions> listeners(2);
  listeners[0].address = metrics_address;
  listeners[0].handler = [&endpoints](const http::Request& request) { return endpoints.metrics(request); };
  listeners[1].address = health_address;
  listeners[1].handler = [&endpoints](const http::Request& request) { return endpoints.health(request); };
  http::ServerOptions options;
  options.threads = 1;
  options.max_connections = 256;
  return http::Server::open(std::move(options), std::move(listeners));
}

}  // namespace cistern::run
