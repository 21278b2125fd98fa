// A TCP server on loopback with blocking sockets and a thread for each connection. Every public function may be called from any thread at
// any time.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "tests/fakes/loopback_server/wire.hpp"

namespace cistern::fakes {

class LoopbackServer {
 public:
  // `serve` is called on the connection's thread, and the connection closed when it returns. `tls`: an SSL_CTX, or null.
  LoopbackServer(std::function<void(Wire&)> serve, std::shared_ptr<void> tls, bool ipv6 = false);
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;
  ~LoopbackServer() { go_down(); }

  unsigned short port() const { return port_; }
  // Connections so far.
  std::size_t accepted() const { return accepted_; }
  // Not there: connections are cut, new ones refused. And back again, on the same port.
  void go_down();
  void come_up();

 private:
  struct Visitor {
    int socket = -1;
    bool done = false;
    std::thread thread;
  };

  void listen();
  void accept_loop(int listener);
  void visit(Visitor* visitor);
  void reap(bool all);

  const std::function<void(Wire&)> serve_;
  const std::shared_ptr<void> tls_;
  const bool ipv6_;
  unsigned short port_ = 0;
  std::atomic<bool> down_ = false;
  std::atomic<std::size_t> accepted_ = 0;
  std::mutex mutex_;
  std::list<Visitor> visitors_;
  int listener_ = -1;
  std::thread acceptor_;
};

}  // namespace cistern::fakes
