#include "tests/fakes/loopback_server/loopback_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace cistern::fakes {

LoopbackServer::LoopbackServer(std::function<void(Wire&)> serve, std::shared_ptr<void> tls, bool ipv6)
    : serve_(std::move(serve)), tls_(std::move(tls)), ipv6_(ipv6) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  listen();
}

void LoopbackServer::listen() {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_port = htons(port_);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.sin_port = htons(port_);
  auto* address = ipv6_ ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  socklen_t size = ipv6_ ? sizeof v6 : sizeof v4;
  // The port may be taken for a moment by somebody's outgoing connection while we are down.
  bool listening = false;
  for (int tries = 0; tries < 200 && !listening; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    listener_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    listening = ::bind(listener_, address, size) == 0 && ::listen(listener_, 1024) == 0;
    if (!listening) ::close(listener_);
  }
  if (!listening) throw std::runtime_error("a server of the test can not listen");
  ::getsockname(listener_, address, &size);
  port_ = ntohs(ipv6_ ? v6.sin6_port : v4.sin_port);
  acceptor_ = std::thread(&LoopbackServer::accept_loop, this, listener_);
}

void LoopbackServer::accept_loop(int listener) {
  while (!down_) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++accepted_;
    reap(false);
    const std::lock_guard lock(mutex_);
    auto& visitor = visitors_.emplace_back();
    visitor.socket = socket;
    visitor.thread = std::thread(&LoopbackServer::visit, this, &visitor);
  }
}

void LoopbackServer::visit(Visitor* visitor) {
  {
    Wire wire(visitor->socket, tls_.get(), down_);
    serve_(wire);
  }
  const std::lock_guard lock(mutex_);
  ::close(visitor->socket);
  visitor->socket = -1;
  visitor->done = true;
}

// Joins the threads that have ended; with `all`, ends the others first.
void LoopbackServer::reap(bool all) {
  std::list<Visitor> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto visitor = visitors_.begin(); visitor != visitors_.end();) {
      auto current = visitor++;
      if (all && current->socket >= 0) ::shutdown(current->socket, SHUT_RDWR);
      if (all || current->done) ended.splice(ended.end(), visitors_, current);
    }
  }
  for (auto& visitor : ended) visitor.thread.join();
}

void LoopbackServer::go_down() {
  if (down_.exchange(true)) return;
  acceptor_.join();
  ::close(listener_);
  reap(true);
}

void LoopbackServer::come_up() {
  if (down_.exchange(false)) listen();
}

}  // namespace cistern::fakes
