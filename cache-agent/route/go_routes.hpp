// /go/: the Go module proxy protocol, per view.
#pragma once

#include <memory>

#include "cache-agent/route/respond.hpp"
#include "cache-agent/route/runtime.hpp"
#include "http/message.hpp"

namespace cistern::route {

// Answers a GET or HEAD. `request` outlives the coroutine's run (the server's promise).
Awaitable<http::Response> serve_go(std::shared_ptr<const Runtime> runtime, const http::Request& request, Asker asker);

}  // namespace cistern::route
