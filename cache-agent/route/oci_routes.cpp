#include "cache-agent/route/oci_routes.hpp"

#include <unistd.h>

#include "base/wake.hpp"
#include "cache-agent/ecosystem/oci/paging.hpp"
#include "cache-agent/route/oci_plan.hpp"

namespace cistern::route {
namespace {

constexpr const char* kOci = "oci";
constexpr std::string_view kVersionHeader = "Docker-Distribution-API-Version";
constexpr std::string_view kApiVersion = "registry/2.0";

http::Response oci_error(Error error, oci::Kind kind) {
  if (auto response = range_error(error, kOci)) return std::move(*response);
  const auto problem = oci::problem_of(std::move(error), kind);
  auto response = text_error(problem.error, kOci);
  response.headers.set("Content-Type", "application/json");
  response.headers.set(kVersionHeader, kApiVersion);
  response.body = http::Body::of(oci::error_json(problem));
  return response;
}

http::Response oci_answer(cache::Answer answer, const Digest* digest) {
  auto response = respond(std::move(answer), kOci);
  response.headers.set(kVersionHeader, kApiVersion);
  if (digest != nullptr) {
    response.headers.set("Docker-Content-Digest", digest->oci());
    response.headers.set("ETag", '"' + digest->oci() + '"');
  }
  return response;
}

// The head of an answer that a HEAD got from an upstream: nothing is stored.
http::Response head_answer(const upstream::Head& head, const Digest& digest, std::string_view fallback_type) {
  http::Response response;
  const auto type = head.headers.get("Content-Type");
  response.headers.set("Content-Type", type.empty() ? fallback_type : type);
  response.headers.set("X-Cistern-Cache", "miss");
  response.headers.set(kVersionHeader, kApiVersion);
  response.headers.set("Docker-Content-Digest", digest.oci());
  response.body.length = head.length;
  response.annotation = http::Annotation{kOci, "miss"};
  return response;
}

// The bytes are here, by another right: whether this one may have them is for the upstream to say, by a HEAD. Empty: ask with GET.
Awaitable<std::optional<Result<void>>> gain_right(const OciAsk& ask, cache::Plan plan, store::Meta meta) {
  const auto& engine = ask.runtime->engine();
  const auto digest = *plan.digest;
  const auto key = plan.key;
  auto head = co_await engine.cache.ask_head(std::move(plan));
  if (!head) {
    if (head.error().code == ErrorCode::kInvalid) co_return std::nullopt;
    co_return Result<void>(fail(head.error()));
  }
  if (meta.content_type.empty()) meta.content_type = std::string(head->headers.get("Content-Type"));
  store::KeyRecord record{key, std::move(meta), engine.clock.wall()};
  auto& store = engine.store;
  auto link = [&store, digest, record] { return store.link(digest, record); };
  const auto linked = co_await run_on(engine.disk, std::move(link));
  if (!linked) co_return std::nullopt;
  co_return Result<void>{};
}

// A blob, or a manifest by its digest.
Awaitable<http::Response> serve_content(OciAsk ask, cache::Plan (*plan_for)(const OciAsk&, const Digest&), std::string key, Digest digest,
                                        bool is_head, cache::ReadOptions options) {
  const auto& engine = ask.runtime->engine();
  const auto kind = ask.request.kind;
  const bool is_blob = kind == oci::Kind::kBlob;
  if (auto answer = engine.cache.lookup(key, key, content_freshness(ask), options)) {
    if (*answer) co_return oci_answer(std::move(**answer), &digest);
    co_return oci_error(answer->error(), kind);
  }
  if (engine.store.has_blob(digest)) {
    store::Meta meta{is_blob ? "application/octet-stream" : "", ""};
    auto plan = plan_for(ask, digest);
    const auto right = co_await gain_right(ask, std::move(plan), std::move(meta));
    if (right && !*right) co_return oci_error(right->error(), kind);
    if (right) {
      if (auto answer = engine.cache.lookup(key, key, content_freshness(ask), options); answer && *answer) {
        co_return oci_answer(std::move(**answer), &digest);
      }
    }
  } else if (is_head) {
    auto plan = plan_for(ask, digest);
    auto head = co_await engine.cache.ask_head(std::move(plan));
    if (head) co_return head_answer(*head, digest, "application/octet-stream");
    if (head.error().code != ErrorCode::kInvalid) co_return oci_error(head.error(), kind);
  }
  auto plan = plan_for(ask, digest);
  auto answer = co_await engine.cache.fetch(std::move(plan), std::move(options));
  if (!answer) co_return oci_error(answer.error(), kind);
  co_return oci_answer(std::move(*answer), &digest);
}

Result<oci::Descriptor> descriptor_in(const cache::Answer& answer) {
  const auto* slice = std::get_if<Slice>(&answer.body);
  if (slice == nullptr) return fail(ErrorCode::kInternal, "a tag's entry is too large");
  if (const auto* memory = std::get_if<MemorySlice>(slice)) return oci::descriptor_from_json(memory->bytes);
  const auto& file = std::get<FileSlice>(*slice);
  std::string text(file.length, '\0');
  const auto got = ::pread(file.file->descriptor(), text.data(), text.size(), static_cast<off_t>(file.offset));
  if (got != static_cast<ssize_t>(text.size())) return fail(system_error(errno, "reading a tag's entry"));
  return oci::descriptor_from_json(text);
}

// The tag's state is what the client is told where the manifest itself was at hand.
void tell_tag_state(http::Response& response, cache::Outcome tag, std::chrono::seconds age) {
  if (response.status >= 300 || std::string_view(response.annotation.result) != "hit") return;
  response.headers.set("X-Cistern-Cache", cache::to_string(tag));
  response.headers.set("Age", std::to_string(age.count()));
  response.annotation.result = cache::to_string(tag);
}

http::Response tag_head(const oci::Descriptor& descriptor, const cache::Answer& answer) {
  http::Response response;
  response.headers.set("Content-Type", descriptor.media_type);
  response.headers.set("Docker-Content-Digest", descriptor.digest.oci());
  response.headers.set("ETag", '"' + descriptor.digest.oci() + '"');
  response.headers.set(kVersionHeader, kApiVersion);
  response.headers.set("X-Cistern-Cache", cache::to_string(answer.outcome));
  response.headers.set("Age", std::to_string(answer.age.count()));
  response.body.length = descriptor.size;
  response.annotation = http::Annotation{kOci, cache::to_string(answer.outcome)};
  return response;
}

Awaitable<http::Response> serve_tag(OciAsk ask, bool is_head, cache::ReadOptions options) {
  const auto& engine = ask.runtime->engine();
  const auto key = tag_key(ask);
  auto found = engine.cache.lookup(key, key, tag_freshness(ask), {});
  if (!found) {
    auto plan = tag_plan(ask);
    cache::ReadOptions whole;
    found = co_await engine.cache.fetch(std::move(plan), std::move(whole));
  }
  if (!*found) co_return oci_error(found->error(), ask.request.kind);
  const cache::Answer& tag = **found;
  const auto descriptor = descriptor_in(tag);
  if (!descriptor) {
    engine.store.erase(key);
    co_return oci_error(descriptor.error(), ask.request.kind);
  }
  if (is_head) co_return tag_head(*descriptor, tag);
  const auto outcome = tag.outcome == cache::Outcome::kMiss ? cache::Outcome::kRevalidated : tag.outcome;
  const auto age = tag.age;
  auto digest_key = manifest_key(ask, descriptor->digest);
  auto response =
      co_await serve_content(std::move(ask), manifest_plan, std::move(digest_key), descriptor->digest, false, std::move(options));
  tell_tag_state(response, outcome, age);
  co_return response;
}

Awaitable<http::Response> serve_page(OciAsk ask, cache::ReadOptions options) {
  const auto& engine = ask.runtime->engine();
  const auto plan = page_plan(ask);
  auto answer = engine.cache.lookup(plan.key, plan.key, plan.freshness, options);
  if (!answer) answer = co_await engine.cache.fetch(plan, std::move(options));
  if (!*answer) co_return oci_error(answer->error(), ask.request.kind);
  auto response = oci_answer(std::move(**answer), nullptr);
  const std::string link(response.headers.get("Link"));
  response.headers.remove("Link");
  if (auto next = oci::rewrite_link(link, ask.request)) response.headers.add("Link", *next);
  co_return response;
}

http::Response base_answer() {
  auto response = http::Response::json(200, "{}");
  response.headers.set(kVersionHeader, kApiVersion);
  response.annotation.ecosystem = kOci;
  return response;
}

}  // namespace

Awaitable<http::Response> serve_oci(std::shared_ptr<const Runtime> runtime, const http::Request& request, Asker asker) {
  auto parsed = oci::parse(request.path(), request.query(), runtime->config().registries);
  const bool reads = request.method == http::Method::kGet || request.method == http::Method::kHead;
  if (!reads || (parsed && parsed->kind == oci::Kind::kOther)) {
    auto response = http::Response::json(405, oci::error_json("UNSUPPORTED", "this cache is read-only: it answers GET and HEAD"));
    response.headers.set("Allow", "GET, HEAD");
    response.headers.set(kVersionHeader, kApiVersion);
    response.annotation = http::Annotation{kOci, "denied"};
    co_return response;
  }
  if (!parsed) co_return oci_error(parsed.error().error, oci::Kind::kOther);
  if (parsed->kind == oci::Kind::kBase) co_return base_answer();
  OciAsk ask{std::move(runtime), std::move(*parsed), oci::accepted_types(request.headers), asker};
  const auto kind = ask.request.kind;
  if (!asker.node && ask.registry().config->needs_credentials()) {
    co_return oci_error(
        Error{ErrorCode::kForbidden,
              fmt::format("{} is fetched with credentials, so it is served to nodes only", ask.registry().config->name), std::nullopt},
        kind);
  }
  auto options = read_options(request);
  const bool is_head = request.method == http::Method::kHead;
  const auto digest = ask.request.digest;
  switch (kind) {
    case oci::Kind::kManifestByTag: co_return co_await serve_tag(std::move(ask), is_head, std::move(options));
    case oci::Kind::kManifestByDigest: {
      auto key = manifest_key(ask, digest);
      co_return co_await serve_content(std::move(ask), manifest_plan, std::move(key), digest, is_head, std::move(options));
    }
    case oci::Kind::kBlob: {
      auto key = blob_key(ask, digest);
      co_return co_await serve_content(std::move(ask), blob_plan, std::move(key), digest, is_head, std::move(options));
    }
    default: co_return co_await serve_page(std::move(ask), std::move(options));
  }
}

}  // namespace cistern::route
