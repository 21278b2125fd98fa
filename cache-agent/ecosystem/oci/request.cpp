#include "cache-agent/ecosystem/oci/request.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/encoding.hpp"
#include "cache-agent/ecosystem/oci/reference.hpp"

namespace cistern::oci {
namespace {

using Parsed = tl::expected<Request, Problem>;
using Elements = std::vector<std::string>;

template <class... Args>
tl::unexpected<Problem> refuse(ErrorCode error, std::string_view code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected(Problem{Error{error, fmt::format(format, std::forward<Args>(args)...), std::nullopt}, code});
}

// The client's query, apart: the values of `ns`, and all else as it was sent.
struct Query {
  std::vector<std::string> ns;
  std::string rest;
};

Query split_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const auto field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (field.empty()) continue;
    const auto equals = std::min(field.find('='), field.size());
    if (percent_decode(field.substr(0, equals)).value_or("") == "ns") {
      const auto value = field.substr(std::min(equals + 1, field.size()));
      query.ns.push_back(percent_decode(value).value_or(std::string(value)));
      continue;
    }
    if (!query.rest.empty()) query.rest += '&';
    query.rest += field;
  }
  return query;
}

// The path's elements, decoded once. None of them may hold an encoded slash.
std::optional<Elements> split_path(std::string_view path) {
  Elements elements;
  while (true) {
    const auto slash = path.find('/');
    auto element = percent_decode(path.substr(0, slash));
    if (!element || element->find('/') != std::string::npos) return std::nullopt;
    elements.push_back(std::move(*element));
    if (slash == std::string_view::npos) return elements;
    path.remove_prefix(slash + 1);
  }
}

std::optional<std::size_t> find_registry(const std::vector<config::Registry>& registries, std::string_view name) {
  const auto wanted = canonical_registry(name);
  const auto found = std::find_if(registries.begin(), registries.end(),
                                  [&](const config::Registry& registry) { return canonical_registry(registry.name) == wanted; });
  if (found == registries.end()) return std::nullopt;
  return static_cast<std::size_t>(found - registries.begin());
}

tl::unexpected<Problem> not_configured(std::string_view registry) {
  return refuse(ErrorCode::kForbidden, "DENIED",
                "the mirror policy names no registry {}; add it to images.registries, or pull from it directly", registry);
}

// Finds the registry, and takes its name from `name`, the elements before the endpoint, if it stands there.
tl::expected<void, Problem> choose_registry(Request& request, Elements& name, const Query& query,
                                            const std::vector<config::Registry>& registries) {
  const bool more = name.size() > 1;
  if (!query.ns.empty()) {
    const auto found = find_registry(registries, query.ns.front());
    if (!found) return not_configured(query.ns.front());
    request.registry = *found;
    request.ns = query.ns.front();
    if (more && looks_like_registry(name.front()) && canonical_registry(name.front()) == canonical_registry(request.ns)) {
      name.erase(name.begin());
    }
    return {};
  }
  if (more) {
    const auto found = find_registry(registries, name.front());
    if (found) {
      request.registry = *found;
      request.prefix = name.front();
      name.erase(name.begin());
      return {};
    }
    if (looks_like_registry(name.front())) return not_configured(name.front());
  }
  if (registries.empty()) return not_configured("at all");
  if (registries.size() > 1) {
    return refuse(ErrorCode::kForbidden, "DENIED",
                  "which registry? The mirror policy names {}; ask for /v2/<registry>/… or with ?ns=<registry>", registries.size());
  }
  request.registry = 0;
  return {};
}

tl::expected<void, Problem> set_digest(Request& request, std::string_view text) {
  auto digest = Digest::from_oci(text);
  if (!digest) return refuse(ErrorCode::kInvalid, "DIGEST_INVALID", "{}", digest.error().message);
  request.digest = *digest;
  return {};
}

tl::expected<void, Problem> set_reference(Request& request, std::string_view reference) {
  switch (request.kind) {
    case Kind::kManifestByTag:
      if (reference.find(':') != std::string_view::npos) {
        request.kind = Kind::kManifestByDigest;
        return set_digest(request, reference);
      }
      if (!is_tag(reference)) {
        return refuse(ErrorCode::kInvalid, "MANIFEST_INVALID", "not a tag: at most 128 letters, digits and _ . -, not led by . or -");
      }
      request.tag = reference;
      return {};
    case Kind::kBlob:
    case Kind::kReferrers: return set_digest(request, reference);
    default: return {};
  }
}

// The endpoint that the last two elements are; kOther for what is not the read-only API.
std::optional<Kind> endpoint(const Elements& elements) {
  const auto count = elements.size();
  const auto from_end = [&](std::size_t n) { return count > n ? std::string_view(elements[count - 1 - n]) : std::string_view(); };
  if (elements.front() == "_catalog" || elements.front() == "_oci") return Kind::kOther;
  if ((from_end(1) == "blobs" && from_end(0) == "uploads") || (from_end(2) == "blobs" && from_end(1) == "uploads")) return Kind::kOther;
  if (count < 3) return std::nullopt;
  if (from_end(1) == "manifests") return Kind::kManifestByTag;
  if (from_end(1) == "blobs") return Kind::kBlob;
  if (from_end(1) == "referrers") return Kind::kReferrers;
  if (from_end(1) == "tags" && from_end(0) == "list") return Kind::kTagsList;
  return std::nullopt;
}

std::string join(const Elements& elements) {
  std::string text;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (i > 0) text += '/';  // an empty element stays visible, and is no name
    text += elements[i];
  }
  return text;
}

Parsed parse_elements(Elements elements, const Query& query, const std::vector<config::Registry>& registries) {
  Request request;
  const auto kind = endpoint(elements);
  if (!kind) return refuse(ErrorCode::kNotFound, "NAME_UNKNOWN", "this path means nothing to a registry");
  request.kind = *kind;
  if (request.kind == Kind::kOther) return request;
  if (query.ns.size() > 1) return refuse(ErrorCode::kInvalid, "NAME_INVALID", "two values of ns: which registry is meant?");
  if (!query.ns.empty() && query.ns.front().empty()) return refuse(ErrorCode::kInvalid, "NAME_INVALID", "ns is empty");

  const auto reference = std::move(elements.back());
  elements.resize(elements.size() - 2);
  if (auto chosen = choose_registry(request, elements, query, registries); !chosen) return tl::unexpected(chosen.error());
  const bool docker = canonical_registry(registries[request.registry].name) == "docker.io";
  if (docker && elements.size() == 1) elements.insert(elements.begin(), "library");
  request.repository = join(elements);
  if (!is_repository(request.repository)) {
    return refuse(ErrorCode::kInvalid, "NAME_INVALID",
                  "not a repository name: lower-case letters, digits and single separators, at most 255 bytes");
  }
  if (auto set = set_reference(request, reference); !set) return tl::unexpected(set.error());
  if (request.kind == Kind::kTagsList || request.kind == Kind::kReferrers) request.query = query.rest;
  return request;
}

}  // namespace

std::string Request::suffix() const {
  switch (kind) {
    case Kind::kManifestByTag: return "/manifests/" + tag;
    case Kind::kManifestByDigest: return "/manifests/" + digest.oci();
    case Kind::kBlob: return "/blobs/" + digest.oci();
    case Kind::kTagsList: return "/tags/list";
    case Kind::kReferrers: return "/referrers/" + digest.oci();
    case Kind::kBase:
    case Kind::kOther: break;
  }
  return "/";
}

std::string Request::upstream_target(std::string_view upstream_repository) const {
  auto target = fmt::format("/v2/{}{}", upstream_repository, suffix());
  if (!query.empty()) target += '?' + query;
  return target;
}

std::string pull_scope(std::string_view upstream_repository) { return fmt::format("repository:{}:pull", upstream_repository); }

Parsed parse(std::string_view path, std::string_view query, const std::vector<config::Registry>& registries) {
  constexpr std::string_view kRoot = "/v2/";
  if (path == "/v2" || path == kRoot) return Request{};
  if (!path.starts_with(kRoot)) return refuse(ErrorCode::kNotFound, "NAME_UNKNOWN", "this path means nothing to a registry");
  auto elements = split_path(path.substr(kRoot.size()));
  if (!elements) return refuse(ErrorCode::kInvalid, "NAME_INVALID", "the path has a broken percent escape, or an encoded slash");
  return parse_elements(std::move(*elements), split_query(query), registries);
}

}  // namespace cistern::oci
