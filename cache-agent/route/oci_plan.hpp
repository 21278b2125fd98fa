// Plans for what registries hold. A tag is an object of its own, whose body is a descriptor: it is made from the answer to a HEAD, which
// registries do not count, and from a GET only where the head does not tell.
#pragma once

#include <memory>
#include <string>

#include "cache-agent/cache/plan.hpp"
#include "cache-agent/ecosystem/oci/accept.hpp"
#include "cache-agent/ecosystem/oci/manifest.hpp"
#include "cache-agent/ecosystem/oci/request.hpp"
#include "cache-agent/route/respond.hpp"
#include "cache-agent/route/runtime.hpp"

namespace cistern::route {

// What a plan needs to know of the request; a value, since it outlives it.
struct OciAsk {
  std::shared_ptr<const Runtime> runtime;
  oci::Request request;
  oci::AcceptSet accept;
  Asker asker;

  const Registry& registry() const { return runtime->registries()[request.registry]; }
};

// The right to read is the key: by listener, registry, repository and digest (architecture, rule 9).
std::string blob_key(const OciAsk& ask, const Digest& digest);
std::string manifest_key(const OciAsk& ask, const Digest& digest);
std::string tag_key(const OciAsk& ask);
std::string page_key(const OciAsk& ask);

cache::Freshness tag_freshness(const OciAsk& ask);
// Of blobs and manifests by digest.
cache::Freshness content_freshness(const OciAsk& ask);

cache::Plan blob_plan(const OciAsk& ask, const Digest& digest);
cache::Plan manifest_plan(const OciAsk& ask, const Digest& digest);
cache::Plan tag_plan(const OciAsk& ask);
// tags/list and referrers.
cache::Plan page_plan(const OciAsk& ask);

}  // namespace cistern::route
