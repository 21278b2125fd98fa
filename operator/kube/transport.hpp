// HTTP to one server, over cpprestsdk, whose types stay behind this header. Private to this folder.
//
// Nothing here waits on a thread of cpprestsdk's pool, so a few threads serve any number of requests and streams: what its tasks do is to
// store what has come and to wake the caller, who waits on his own thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "operator/kube/configuration.hpp"

namespace cistern::kube {

struct HttpRequest {
  std::string method;
  std::string target;  // path and query, encoded, below the server's own path
  std::string content_type;
  std::string body;
  std::string token;  // empty: none
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
};

struct TransportFailure {
  Error error;
  bool connection = false;  // refused, reset or cut, as opposed to silent or cancelled: another try may help
  bool unsent = false;      // the server can not have acted on it
};

class Transport {
 public:
  // `threads` of the pool, if this is the first transport of the process.
  static Result<std::unique_ptr<Transport>> make(const Configuration& configuration, const ClientOptions& options);
  ~Transport();

  tl::expected<HttpAnswer, TransportFailure> exchange(const HttpRequest& request, std::chrono::milliseconds limit,
                                                      const std::stop_token& stop);
  // Gives a 200's body to `on_bytes` on this thread as it comes, first nothing when the head is there, without limit of time as long as
  // there is a byte within `silence`; returns when it has ended. The head must come within `limit`. Other answers are whole, as from
  // exchange. `on_bytes` returns false to end it. kCancelled when `stop` is asked for, at once. On a connection of its own.
  tl::expected<HttpAnswer, TransportFailure> stream(const HttpRequest& request, std::chrono::milliseconds limit,
                                                    std::chrono::milliseconds silence,
                                                    const std::function<bool(std::string_view)>& on_bytes, const std::stop_token& stop);

 private:
  struct Impl;
  explicit Transport(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cistern::kube
