#include "operator/admission/endpoint.hpp"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "operator/admission/review.hpp"

namespace cistern::admission {
namespace {

// The API server asks again over the connection that it has; one that is closed while it asks costs a pod its variables. Its own idle limit
// is 90 s, so ours is longer.
constexpr std::chrono::seconds kIdle{120};
constexpr unsigned kMaxConnections = 1024;

void log(const Reviewed& reviewed) {
  const auto& decision = reviewed.decision;
  if (decision.patch.empty()) {
    spdlog::debug("not injected: pod={}/{} reason=\"{}\"", reviewed.ns, reviewed.pod, decision.why_not);
  } else {
    spdlog::info("injected: pod={}/{} policy={} profile={} variables={}", reviewed.ns, reviewed.pod, decision.policy, decision.profile,
                 fmt::join(decision.variables, ","));
  }
}

}  // namespace

void Endpoint::use(std::shared_ptr<const Rules> rules) {
  const std::lock_guard lock(mutex_);
  rules_.swap(rules);
  // What was in use may be large; it is freed without the lock.
}

std::shared_ptr<const Rules> Endpoint::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

Awaitable<http::Response> Endpoint::answer(const http::Request& request) const {
  const auto begin = std::chrono::steady_clock::now();
  auto response = respond(request);
  const auto took = std::chrono::steady_clock::now() - begin;
  if (observer_) observer_(response.status, std::chrono::duration_cast<std::chrono::microseconds>(took));
  co_return response;
}

http::Response Endpoint::respond(const http::Request& request) const {
  if (request.path() != kWebhookPath) return http::Response::text(404, fmt::format("nothing here; this listener has {}", kWebhookPath));
  if (request.method != http::Method::kPost) {
    auto response = http::Response::text(405, "an AdmissionReview is sent by POST");
    response.headers.set("Allow", "POST");
    return response;
  }
  const auto rules = this->rules();
  auto reviewed = review(rules.get(), request.body);
  if (reviewed.status != 200) {
    spdlog::warn("no review: from={} reason=\"{}\"", request.remote, reviewed.body);
    return http::Response::text(reviewed.status, std::move(reviewed.body));
  }
  log(reviewed);
  return http::Response::json(200, std::move(reviewed.body));
}

Result<std::unique_ptr<http::Server>> open_server(const Endpoint& endpoint, const std::string& address, unsigned threads) {
  std::vector<http::ListenerOptions> listeners(1);
  listeners[0].address = address;
  listeners[0].handler = [&endpoint](const http::Request& request) { return endpoint.answer(request); };
  listeners[0].allow_body = true;
  listeners[0].max_body = kMaxReview;
  listeners[0].tls_from_memory = true;
  http::ServerOptions options;
  options.threads = threads;
  options.idle_timeout = kIdle;
  options.max_connections = kMaxConnections;
  return http::Server::open(std::move(options), std::move(listeners));
}

}  // namespace cistern::admission
