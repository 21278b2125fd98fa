// Where a server listens.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

#include "base/error.hpp"
#include "http/server.hpp"
#include "http/tls.hpp"

namespace cistern::http {

struct Listener {
  ListenerOptions options;
  std::unique_ptr<Certificates> certificates;  // null: plaintext
  asio::ip::tcp::endpoint endpoint;            // with the port that was picked
};

// "127.0.0.1:5050", "[::1]:5050", "localhost:5050", "0.0.0.0:0"; anything else is kInvalid and says so.
Result<asio::ip::tcp::endpoint> parse_endpoint(std::string_view address);

// A listening, non-blocking socket that shares its port with the server's other threads. The first of an address sets
// `endpoint`'s port if it is 0, and makes sure that no other program listens there: SO_REUSEPORT would share the port with
// another instance of ours without a word. The descriptor is the caller's.
Result<int> listen_on(asio::ip::tcp::endpoint& endpoint, bool first);

}  // namespace cistern::http
