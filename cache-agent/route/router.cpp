#include "cache-agent/route/router.hpp"

#include "cache-agent/observe/status.hpp"
#include "cache-agent/route/go_routes.hpp"
#include "cache-agent/route/oci_routes.hpp"
#include "base/version.hpp"

namespace cistern::route {
namespace {

http::Response denied(unsigned status, std::string message, const char* ecosystem = "") {
  auto response = http::Response::text(status, std::move(message));
  response.annotation = http::Annotation{ecosystem, "denied"};
  return response;
}

bool is_under(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace

Router::Router(std::shared_ptr<const Runtime> runtime) { use(std::move(runtime)); }

void Router::use(std::shared_ptr<const Runtime> runtime) {
  auto limiter = std::make_shared<limit::RateLimiter>(runtime->config().rate_limit, runtime->engine().clock);
  const std::lock_guard lock(mutex_);
  state_ = State{std::move(runtime), std::move(limiter)};
}

Router::State Router::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::shared_ptr<const Runtime> Router::runtime() const { return state().runtime; }

// A peer proves that it is one, and on whose behalf it asks; whoever tries and fails is told so, and gets nothing.
Result<Asker> Router::asker_of(Door door, const http::Request& request, const Runtime& runtime) {
  Asker asker{door != Door::kPods, door != Door::kNode, false};
  const auto header = request.headers.get(peers::kPeerHeader);
  if (header.empty()) return asker;
  const auto& config = runtime.config().peers;
  if (!config.enabled || door == Door::kNode) return fail(ErrorCode::kForbidden, "this listener does not answer peers");
  const auto scope = request.headers.get(kScopeHeader);
  const auto hop = verifier_.verify(peers::Signable{request.method_text, request.target, scope}, header,
                                    peers::Keys{config.key, config.previous_key}, runtime.engine().clock.wall());
  runtime.engine().metrics.peer_request("owner", hop ? "ok" : "refused");
  if (!hop) return fail(hop.error());
  return Asker{scope == "node", true, true};
}

Awaitable<http::Response> Router::serve(Door door, const http::Request& request) {
  auto [runtime, limiter] = state();
  const auto path = request.path();
  if (path == "/healthz") {
    auto response = http::Response::json(200, observe::health_json(runtime->hash(), runtime->config().policy, kVersion));
    response.annotation.result = "hit";
    co_return response;
  }
  auto asker = asker_of(door, request, *runtime);
  // Not one of the statuses by which an upstream's word comes through: the asker goes on to the next.
  if (!asker) co_return denied(421, asker.error().message);
  if (!asker->peer) {
    if (const auto wait = limiter->refuse(request.remote)) {
      auto response = denied(429, "this client asks too often (rateLimit of the policy)");
      response.headers.set("Retry-After", std::to_string(wait->count()));
      co_return response;
    }
  }
  if (is_under(path, "/v2")) co_return co_await serve_oci(std::move(runtime), request, *asker);
  if (is_under(path, "/go")) {
    if (!asker->pods) co_return denied(404, "Go modules are served by the pods listener, not by this one", "go");
    if (request.method != http::Method::kGet && request.method != http::Method::kHead) {
      auto response = denied(405, "this cache is read-only: it answers GET and HEAD", "go");
      response.headers.set("Allow", "GET, HEAD");
      co_return response;
    }
    co_return co_await serve_go(std::move(runtime), request, *asker);
  }
  co_return denied(404, "nothing here; /go/ is a Go module proxy, /v2/ a container registry, /healthz tells the agent's health");
}

}  // namespace cistern::route
