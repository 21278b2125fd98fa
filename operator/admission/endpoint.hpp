// The webhook's listener: POST /mutate-pods over TLS.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.hpp"
#include "http/server.hpp"
#include "operator/admission/rules.hpp"

namespace cistern::admission {

inline constexpr const char* kWebhookPath = "/mutate-pods";
// A pod is below etcd's limit of 1.5 MiB, in protobuf; as JSON, with what a review says around it, it is less than three times that.
inline constexpr Bytes kMaxReview = mib(4);

// Thread-safe; outlives its server. Holds what the next review is decided by.
class Endpoint {
 public:
  // Told of each request: `code` is the HTTP status. Called on the connection's thread.
  using Observer = std::function<void(unsigned code, std::chrono::microseconds duration)>;
  explicit Endpoint(Observer observer) : observer_(std::move(observer)) {}

  // From now on. Null, as at the beginning: every pod is allowed as it is.
  void use(std::shared_ptr<const Rules> rules);
  std::shared_ptr<const Rules> rules() const;

  Awaitable<http::Response> answer(const http::Request& request) const;

 private:
  http::Response respond(const http::Request& request) const;

  Observer observer_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Rules> rules_;
};

// Bound, not started. It closes connections until Server::use_certificate(0, …) gives it a certificate, and takes a new one into use for
// new connections whenever that is called again. Reviews are decided on the connection's thread: `threads` is how many cores they may take.
Result<std::unique_ptr<http::Server>> open_server(const Endpoint& endpoint, const std::string& address, unsigned threads = 2);

}  // namespace cistern::admission
