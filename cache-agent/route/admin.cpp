#include "cache-agent/route/admin.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "base/wake.hpp"
#include "cache-agent/observe/status.hpp"
#include "base/version.hpp"

namespace cistern::route {

std::vector<observe::UpstreamStatus> upstream_states(const Runtime& runtime) {
  std::vector<observe::UpstreamStatus> states;
  for (auto& state : runtime.upstream_states()) {
    const auto same = std::find_if(states.begin(), states.end(), [&](const auto& known) { return known.name == state.name; });
    if (same == states.end()) {
      states.push_back(std::move(state));
    } else {
      observe::merge(*same, std::move(state));
    }
  }
  return states;
}

Awaitable<http::Response> Admin::serve(const http::Request& request) {
  const auto path = request.path();
  const auto runtime = router_.runtime();
  auto response =
      http::Response::text(404, "nothing here; the admin listener has /healthz, /readyz, /metrics, /status and POST /purge?pattern=");
  if (path == "/purge") {
    response = co_await purge(request);
  } else if (request.method == http::Method::kPost || request.method == http::Method::kOther) {
    response = http::Response::text(405, "only /purge takes another method than GET and HEAD");
  } else if (path == "/healthz") {
    response = http::Response::json(200, observe::health_json(runtime->hash(), runtime->config().policy, kVersion));
  } else if (path == "/readyz") {
    response = draining_ ? http::Response::text(503, "draining") : http::Response::text(200, "ready");
  } else if (path == "/metrics") {
    response = http::Response::text(200, std::string());
    response.headers.set("Content-Type", observe::Metrics::kContentType);
    response.body = http::Body::of(metrics_.text());
  } else if (path == "/status") {
    response = status();
  }
  response.annotation.result = response.status < 400 ? "hit" : "error";
  co_return response;
}

http::Response Admin::status() const {
  const auto runtime = router_.runtime();
  observe::Status status;
  for (auto& fill : runtime->engine().cache.fills()) {
    status.fills.push_back({std::move(fill.key), fill.received, fill.total, std::move(fill.upstream)});
  }
  status.upstreams = upstream_states(*runtime);
  if (const auto* directory = runtime->directory()) {
    for (auto& peer : directory->peers())
      status.peers.push_back({std::move(peer.address), std::move(peer.zone), peer.self, peer.passed_over});
  }
  status.config_hash = runtime->hash();
  status.policy = runtime->config().policy;
  status.version = kVersion;
  status.store = runtime->engine().store.stats();
  return http::Response::json(200, observe::status_json(status));
}

Awaitable<http::Response> Admin::purge(const http::Request& request) {
  if (request.method != http::Method::kPost) {
    auto response = http::Response::text(405, "purge with POST /purge?pattern=PATTERN");
    response.headers.set("Allow", "POST");
    co_return response;
  }
  const auto patterns = http::query_values(request.query(), "pattern");
  if (patterns.empty()) co_return http::Response::text(400, "say what to drop: POST /purge?pattern=go/*/github.com/acme/*");
  const auto runtime = router_.runtime();
  const auto& engine = runtime->engine();
  auto& store = engine.store;
  auto drop = [&store, patterns]() -> Result<std::uint64_t> {
    std::uint64_t all = 0;
    for (const auto& pattern : patterns) {
      auto some = store.purge(pattern);
      if (!some) return some;
      all += *some;
    }
    return all;
  };
  const auto purged = co_await run_on(engine.disk, std::move(drop));
  if (!purged) co_return http::Response::of(purged.error());
  engine.cache.forget_negative();
  spdlog::info("purged: patterns={} objects={}", patterns.size(), *purged);
  co_return http::Response::json(200, nlohmann::json{{"purged", *purged}}.dump());
}

}  // namespace cistern::route
