// The few requests that the operator makes to its agent: health, numbers, purge. Blocking, at most a second each; one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"

namespace cistern::standalone {

// Addresses of the agent that is reached by `listen` (HOST:PORT): a wildcard host is reached on loopback, and the admin listener is the
// next port on loopback.
struct AgentAddress {
  std::string listener;  // HOST:PORT
  std::string admin;     // 127.0.0.1:PORT+1
};
// kInvalid unless HOST:PORT or [V6]:PORT with a port from 1 to 65534.
Result<AgentAddress> agent_address(const std::string& listen);

class AgentHttp {
 public:
  AgentHttp();
  AgentHttp(AgentHttp&&) noexcept;
  ~AgentHttp();

  // The body of a 200; anything else is an error that names the URL. Answers beyond 8 MiB are refused.
  Result<std::string> get(const std::string& url);
  // POST without a body.
  Result<std::string> post(const std::string& url);

 private:
  Result<std::string> perform(const std::string& url, bool post);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cistern::standalone
