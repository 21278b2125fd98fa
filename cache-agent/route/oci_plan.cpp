#include "cache-agent/route/oci_plan.hpp"

#include <numeric>

#include "base/encoding.hpp"

namespace cistern::route {
namespace {

std::string repository_key(const OciAsk& ask) {
  return fmt::format("oci/{}/{}/{}", ask.asker.scope(), ask.registry().config->name, ask.request.repository);
}

// The same request, for an upstream by `target(repository)` and for peers by our own names.
cache::Plan plan_for(const OciAsk& ask, std::string key, const oci::Request& wanted, std::string_view accept, bool bulk) {
  const Registry& registry = ask.registry();
  cache::Plan plan;
  upstream::Ask asked;
  if (!accept.empty()) asked.headers.add("Accept", accept);
  asked.bulk = bulk;
  const auto ours = wanted.upstream_target(wanted.repository);
  asked.target = fmt::format("{}{}ns={}", ours, ours.find('?') == std::string::npos ? '?' : '&', percent_encode(registry.config->name));
  plan.sources = owners(ask.runtime, ask.asker, key, asked);

  std::vector<std::size_t> candidates(registry.upstreams.size());
  std::iota(candidates.begin(), candidates.end(), 0);
  // One listener and one set of accepted types as good as another.
  const auto whole = fmt::format("{}/{}{}", registry.config->name, wanted.repository, wanted.suffix());
  for (auto& choice : registry.selector->order(candidates, upstream::Object{wanted.repository, whole})) {
    const auto repository = registry.rewriters[choice.index].apply(wanted.repository);
    if (!repository) continue;  // a rule made no name of it: this upstream can not have it
    asked.target = wanted.upstream_target(*repository);
    asked.scope = oci::pull_scope(*repository);
    asked.retry = !choice.canary;
    plan.sources.push_back(
        cache::Source{registry.upstreams[choice.index], asked, config::Fallback::kAny, false, choice.canary, std::move(choice.outcome)});
  }
  plan.key = std::move(key);
  return plan;
}

// The tag's own answer says what it points to.
Result<oci::Descriptor> descriptor_of(const upstream::Head& head) {
  auto digest = Digest::from_oci(head.headers.get("Docker-Content-Digest"));
  if (!digest) return fail(digest.error());
  const auto type = head.headers.get("Content-Type");
  if (type.empty() || !head.length) return fail(ErrorCode::kInvalid, "the head tells no type or length");
  return oci::Descriptor{*digest, std::string(type), *head.length};
}

}  // namespace

std::string blob_key(const OciAsk& ask, const Digest& digest) { return fmt::format("{}/blobs/{}", repository_key(ask), digest.oci()); }

std::string manifest_key(const OciAsk& ask, const Digest& digest) {
  return fmt::format("{}/manifests/{}", repository_key(ask), digest.oci());
}

std::string tag_key(const OciAsk& ask) { return fmt::format("{}:{} {}", repository_key(ask), ask.request.tag, ask.accept.key); }

std::string page_key(const OciAsk& ask) { return fmt::format("{}{}?{}", repository_key(ask), ask.request.suffix(), ask.request.query); }

cache::Freshness tag_freshness(const OciAsk& ask) {
  const Registry& registry = ask.registry();
  cache::Freshness freshness = content_freshness(ask);
  if (!registry.immutable_tags.matches(ask.request.tag)) freshness.ttl = registry.config->tag_ttl;
  return freshness;
}

cache::Freshness content_freshness(const OciAsk& ask) {
  const config::Registry& config = *ask.registry().config;
  return cache::Freshness{std::nullopt, config.negative, config.stale_if_error};
}

cache::Plan blob_plan(const OciAsk& ask, const Digest& digest) {
  oci::Request wanted = ask.request;
  wanted.kind = oci::Kind::kBlob;
  wanted.digest = digest;
  auto plan = plan_for(ask, blob_key(ask, digest), wanted, {}, true);
  plan.freshness = content_freshness(ask);
  plan.digest = digest;
  plan.ranges_while_filling = true;
  plan.content_type = "application/octet-stream";
  return plan;
}

cache::Plan manifest_plan(const OciAsk& ask, const Digest& digest) {
  oci::Request wanted = ask.request;
  wanted.kind = oci::Kind::kManifestByDigest;
  wanted.digest = digest;
  auto plan = plan_for(ask, manifest_key(ask, digest), wanted, ask.accept.header, false);
  plan.freshness = content_freshness(ask);
  plan.digest = digest;
  plan.max_size = oci::kMaxManifest.count;
  plan.from_body = [](const upstream::Head& head, std::string body) -> Result<cache::Made> {
    auto type = oci::manifest_media_type(head.headers.get("Content-Type"), body);
    return cache::Made{std::move(body), std::move(type)};
  };
  return plan;
}

cache::Plan tag_plan(const OciAsk& ask) {
  auto plan = plan_for(ask, tag_key(ask), ask.request, ask.accept.header, false);
  plan.freshness = tag_freshness(ask);
  plan.max_size = oci::kMaxManifest.count;
  plan.content_type = "application/json";
  plan.from_head = [](const upstream::Head& head) -> Result<cache::Made> {
    return descriptor_of(head).map([](const oci::Descriptor& descriptor) { return cache::Made{oci::to_json(descriptor), {}}; });
  };
  // The manifest has come along: it is kept, so that it is not asked for again.
  plan.from_body = [ask](const upstream::Head& head, const std::string& body) -> Result<cache::Made> {
    const oci::Descriptor descriptor{Sha256::of(std::string_view(body)), oci::manifest_media_type(head.headers.get("Content-Type"), body),
                                     body.size()};
    const auto& engine = ask.runtime->engine();
    auto stored =
        engine.store.put(body, store::KeyRecord{manifest_key(ask, descriptor.digest), {descriptor.media_type, ""}, engine.clock.wall()});
    if (!stored && stored.error().code != ErrorCode::kNoSpace) return fail(stored.error());
    return cache::Made{oci::to_json(descriptor), {}};
  };
  return plan;
}

cache::Plan page_plan(const OciAsk& ask) {
  auto plan = plan_for(ask, page_key(ask), ask.request, {}, false);
  plan.freshness = content_freshness(ask);
  plan.freshness.ttl = ask.registry().config->tag_ttl;
  plan.max_size = oci::kMaxPage.count;
  plan.keep_headers = {"Link", "OCI-Filters-Applied"};
  return plan;
}

}  // namespace cistern::route
