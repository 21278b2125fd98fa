#include "cache-agent/route/go_routes.hpp"

#include <algorithm>

#include "cache-agent/cache/verdict.hpp"
#include "cache-agent/ecosystem/go/answer.hpp"
#include "cache-agent/ecosystem/go/policy.hpp"
#include "cache-agent/ecosystem/go/request.hpp"
#include "cache-agent/route/go_check.hpp"

namespace cistern::route {
namespace {

constexpr const char* kGo = "go";

// Verified objects are the same for every view; all else belongs to its view (architecture, rule 9).
std::string key_of(const GoView& view, const go::Request& request, bool verified) {
  if (verified) return fmt::format("go/sum/{}{}", view.config->sumdb.name, request.upstream_path);
  return fmt::format("go/~{}{}", view.config->name, request.upstream_path);
}

bool is_verified(const go::Request& request, const go::Access& access) {
  return access.verify && (request.kind == go::Request::kMod || request.kind == go::Request::kZip);
}

cache::Freshness freshness_of(const GoView& view, const go::Request& request) {
  const auto& config = view.config->freshness;
  cache::Freshness freshness;
  freshness.ttl = go::time_to_live(request, config);
  freshness.negative = std::min<std::chrono::milliseconds>(config.negative, std::chrono::minutes(1));
  freshness.stale_if_error = config.stale_if_error;
  return freshness;
}

std::string peer_target(const GoView& view, const go::Request& request) {
  const auto& name = view.config->name;
  return (name.empty() ? std::string("/go") : "/go/~" + name) + request.upstream_path;
}

// Those of the view that serve this module, in the order in which they are to be asked.
std::vector<cache::Source> sources_of(const std::shared_ptr<const Runtime>& runtime, const GoView& view, const go::Request& request,
                                      const go::Access& access, const Asker& asker, std::string_view key) {
  upstream::Ask ask;
  ask.target = peer_target(view, request);
  auto sources = owners(runtime, asker, key, ask);
  ask.target = request.upstream_path;
  ask.bulk = request.kind == go::Request::kZip;
  for (auto& choice : view.selector->order(access.upstreams, upstream::Object{request.module, request.upstream_path})) {
    ask.retry = !choice.canary;
    sources.push_back(cache::Source{view.upstreams[choice.index], ask, view.config->upstreams[choice.index].fallback, false, choice.canary,
                                    std::move(choice.outcome)});
  }
  return sources;
}

cache::Plan plan_of(const std::shared_ptr<const Runtime>& runtime, const GoView& view, const go::Request& request, const go::Access& access,
                    const Asker& asker, std::string key, std::string fill_key) {
  cache::Plan plan;
  plan.sources = sources_of(runtime, view, request, access, asker, key);
  plan.freshness = freshness_of(view, request);
  plan.content_type = std::string(go::content_type(request.kind));
  plan.max_size = go::size_limit(request.kind).count;
  if (is_verified(request, access)) {
    const bool go_mod = request.kind == go::Request::kMod;
    plan.check = std::make_shared<ModuleCheck>(view.checksums, runtime->engine().clock, request.module, request.version, go_mod);
    plan.needs_disk = !go_mod;
  } else if (request.kind == go::Request::kList) {
    plan.from_body = [](const upstream::Head&, const std::string& body) -> Result<cache::Made> {
      return go::check_list(body).map([](std::string list) { return cache::Made{std::move(list), {}}; });
    };
  } else if (request.kind == go::Request::kInfo || request.kind == go::Request::kLatest) {
    plan.from_body = [request](const upstream::Head&, std::string body) -> Result<cache::Made> {
      if (auto info = go::check_info(request, body); !info) return fail(info.error());
      return cache::Made{std::move(body), {}};
    };
  }
  plan.key = std::move(key);
  plan.fill_key = std::move(fill_key);
  return plan;
}

http::Response go_error(const Error& error) {
  if (auto response = range_error(error, kGo)) return std::move(*response);
  return text_error(error, kGo);
}

Awaitable<http::Response> serve_module(std::shared_ptr<const Runtime> runtime, const GoView& view, go::Request request, bool only_cached,
                                       cache::ReadOptions options, Asker asker) {
  auto allowed = go::allow(*view.config, request);
  if (!allowed) co_return go_error(allowed.error());
  auto& cache = runtime->engine().cache;
  auto key = key_of(view, request, is_verified(request, *allowed));
  // A fill asks one view's upstreams; another view's clients do not wait for what those say.
  auto fill_key = fmt::format("{} ~{}", key, view.config->name);
  if (only_cached) {
    if (auto answer = cache.stored(key, options); answer && *answer) co_return respond(std::move(**answer), kGo);
    auto response =
        text_error(Error{ErrorCode::kNotFound, "not cached, and the client asked for no fetch (Disable-Module-Fetch)", std::nullopt}, kGo);
    response.headers.set("Cache-Control", "no-store");
    co_return response;
  }
  if (auto answer = cache.lookup(key, fill_key, freshness_of(view, request), options)) {
    if (*answer) co_return respond(std::move(**answer), kGo);
    co_return go_error(answer->error());
  }
  auto plan = plan_of(runtime, view, request, *allowed, asker, std::move(key), std::move(fill_key));
  auto answer = co_await cache.fetch(std::move(plan), std::move(options));
  if (!answer) co_return go_error(answer.error());
  co_return respond(std::move(*answer), kGo);
}

http::Response sumdb_answer(Result<std::string> body, const go::Request& request) {
  if (!body) return go_error(body.error());
  auto response = http::Response::text(200, std::string());
  response.headers.set("Content-Type", std::string(go::content_type(request.kind)));
  response.body = http::Body::of(std::move(*body));
  response.annotation = http::Annotation{kGo, "hit"};
  return response;
}

// Mode Proxy: what can not be judged is believed for a short time only, and longer while the database can not be reached.
Awaitable<http::Response> pass_sumdb(std::shared_ptr<const Runtime> runtime, const GoView& view, go::Request request,
                                     cache::ReadOptions options) {
  auto& cache = runtime->engine().cache;
  cache::Plan plan;
  plan.key = fmt::format("go/~{}{}", view.config->name, request.upstream_path);
  plan.freshness = freshness_of(view, request);
  plan.freshness.ttl = view.config->freshness.latest;
  plan.max_size = go::size_limit(request.kind).count;
  plan.content_type = std::string(go::content_type(request.kind));
  if (auto answer = cache.lookup(plan.key, {}, plan.freshness, options)) {
    if (*answer) co_return respond(std::move(**answer), kGo);
    co_return go_error(answer->error());
  }
  const auto checksums = view.checksums;
  const auto place = co_await checksums->source->place();
  if (!place) co_return go_error(place.error());
  upstream::Ask ask;
  ask.target = place->prefix + request.tail;
  plan.sources.push_back(cache::Source{place->upstream, ask, config::Fallback::kNotFound, false, false, {}});
  auto answer = co_await cache.fetch(std::move(plan), std::move(options));
  if (!answer) co_return go_error(answer.error());
  co_return respond(std::move(*answer), kGo);
}

Awaitable<http::Response> serve_sumdb(std::shared_ptr<const Runtime> runtime, const GoView& view, go::Request request,
                                      cache::ReadOptions options) {
  if (auto allowed = go::allow_sumdb(*view.config, request); !allowed) co_return go_error(allowed.error());
  if (view.config->sumdb.mode == config::SumDbMode::kProxy && request.kind != go::Request::kSumDbSupported) {
    co_return co_await pass_sumdb(std::move(runtime), view, std::move(request), std::move(options));
  }
  // Kept for as long as the coroutine runs: a reload may drop the view.
  const auto checksums = view.checksums;
  switch (request.kind) {
    case go::Request::kSumDbSupported: co_return sumdb_answer(std::string(), request);
    case go::Request::kSumDbLatest: co_return sumdb_answer(co_await checksums->db->latest(), request);
    case go::Request::kSumDbLookup: co_return sumdb_answer(co_await checksums->db->lookup(request.module, request.version), request);
    default: co_return sumdb_answer(co_await checksums->db->tile(request.tail), request);
  }
}

}  // namespace

Awaitable<http::Response> serve_go(std::shared_ptr<const Runtime> runtime, const http::Request& request, Asker asker) {
  const auto path = go::split_view(request.path());
  const auto* view = path ? runtime->view(path->view) : nullptr;
  if (view == nullptr) {
    const auto why = path && !path->view.empty() ? fmt::format("no profile \"{}\" in the policy in force", path->view)
                                                 : std::string("the policy in force has no go section");
    co_return text_error(Error{ErrorCode::kNotFound, why, std::nullopt}, kGo);
  }
  auto parsed = go::parse(path->rest);
  if (!parsed) co_return go_error(parsed.error());
  if (parsed->is_sumdb()) co_return co_await serve_sumdb(std::move(runtime), *view, std::move(*parsed), read_options(request));
  const bool only_cached = http::equal_ignoring_case(request.headers.get("Disable-Module-Fetch"), "true");
  const auto& view_of_runtime = *view;
  co_return co_await serve_module(std::move(runtime), view_of_runtime, std::move(*parsed), only_cached, read_options(request), asker);
}

}  // namespace cistern::route
