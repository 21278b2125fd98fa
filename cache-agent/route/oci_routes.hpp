// /v2/: container images, as a read-only registry (OCI distribution specification).
#pragma once

#include <memory>

#include "cache-agent/route/respond.hpp"
#include "cache-agent/route/runtime.hpp"
#include "http/message.hpp"

namespace cistern::route {

// Answers any method (405 in the specification's words). `request` outlives the coroutine's run (the server's promise).
Awaitable<http::Response> serve_oci(std::shared_ptr<const Runtime> runtime, const http::Request& request, Asker asker);

}  // namespace cistern::route
