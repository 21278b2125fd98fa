// One server at every address of this machine, which answers at each as an agent does, or as the test says. A thread of its own.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

namespace cistern::reconcile {

// What is sent to a request for `path` at `address` (V4 as 127.0.0.1), head and all; empty: nothing, ever. The connection is kept.
using Answer = std::function<std::string(const std::string& address, const std::string& path)>;

std::string http_answer(const std::string& body, const std::string& status = "200 OK");
// /status and /metrics of an agent with everything in order and "hash-ADDRESS" in force.
std::string as_agent(const std::string& address, const std::string& path);

class ManyAgents {
 public:
  explicit ManyAgents(Answer answer);
  ManyAgents(const ManyAgents&) = delete;
  ManyAgents& operator=(const ManyAgents&) = delete;
  ~ManyAgents();
  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return connections_; }

 private:
  void run();

  const Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace cistern::reconcile
