// What a request under /v2/ asks for (OCI distribution specification 1.1), and of which registry. Pure; any thread; independent of the
// method.
//
// The registry is named by the query `ns` (containerd), else by the first element of the path (/v2/quay.io/org/app/…), else it is the only
// one that is configured. `ns` beats the path, which is then the repository as it stands, but for an element that names the same registry
// once more. Without `ns`, a first element that looks like a host (with a '.' or ':', or "localhost") is one. docker.io has its aliases and
// "library/".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "base/digest.hpp"
#include "config/model.hpp"
#include "cache-agent/ecosystem/oci/problem.hpp"

namespace cistern::oci {

struct Request {
  Kind kind = Kind::kBase;
  std::size_t registry = 0;  // index into the configured registries
  std::string repository;    // canonical: docker.io's "nginx" is "library/nginx"
  std::string tag;           // kManifestByTag
  Digest digest;             // kManifestByDigest, kBlob, kReferrers
  std::string query;         // kTagsList, kReferrers: the client's query without `ns`, as sent, without '?'
  // How the client named the registry, for links back to us: the path's first element ("quay.io"), the value of `ns`, or both empty.
  std::string prefix;
  std::string ns;

  // The path part behind the repository: "/manifests/latest", "/blobs/sha256:…".
  std::string suffix() const;
  // What to ask an upstream: "/v2/<repository>/manifests/latest?…", with its name for the repository (rewrite.hpp).
  std::string upstream_target(std::string_view upstream_repository) const;
};

// The token scope for pulling.
std::string pull_scope(std::string_view upstream_repository);

// `path` starts with "/v2", without query. kForbidden for a registry that is not configured; kInvalid for a name, tag, digest or `ns` that
// the specification does not allow, and for two `ns`; kNotFound for paths that mean nothing. kBase and kOther never fail: whatever is not
// read-only API is kOther.
tl::expected<Request, Problem> parse(std::string_view path, std::string_view query, const std::vector<config::Registry>& registries);

}  // namespace cistern::oci
