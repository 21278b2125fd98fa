// The cache's answers as HTTP responses.
#pragma once

#include <memory>
#include <string>

#include "cache-agent/cache/cache.hpp"
#include "cache-agent/route/runtime.hpp"
#include "http/message.hpp"

namespace cistern::route {

// Who asks, as far as rights depend on it (architecture, "Two listeners" and rule 9).
struct Asker {
  bool node = false;  // through the node listener (or by a peer on its behalf): may have what was fetched with credentials
  bool pods = false;  // through the pods listener: may have Go
  bool peer = false;  // another agent, which has made its one hop: no peer is asked for it
  std::string_view scope() const { return node ? "node" : "pods"; }
};

// Beside peers::kPeerHeader: on behalf of which listener a peer asks, "node" or "pods"; covered by the signature.
inline constexpr std::string_view kScopeHeader = "X-Cistern-Scope";

// 200 or 206 with X-Cistern-Cache, Age, the kept headers, Accept-Ranges.
http::Response respond(cache::Answer answer, const char* ecosystem);

// A status by the error's code (http::status_of), Retry-After, and the message as text/plain.
http::Response text_error(const Error& error, const char* ecosystem);

// The request's range and what its version of HTTP can bear.
cache::ReadOptions read_options(const http::Request& request);

// 416 for range_not_satisfiable(); empty for other errors.
std::optional<http::Response> range_error(const Error& error, const char* ecosystem);

// The owners among the peers that are to be asked before any upstream, as sources. Empty if peers are off, if this agent owns the
// object, or if a peer asks. `ask` is what the peer is asked; each request to it is signed.
std::vector<cache::Source> owners(const std::shared_ptr<const Runtime>& runtime, const Asker& asker, std::string_view key,
                                  const upstream::Ask& ask);

}  // namespace cistern::route
