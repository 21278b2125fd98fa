// A listener on a loopback address whose connections are served by a function of the test, on blocking sockets, a thread for each.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace cistern::upstream {

inline bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// Up to and with the empty line; empty at the end of the connection.
inline std::string receive_head(int socket) {
  std::string head;
  char byte = 0;
  while (!head.ends_with("\r\n\r\n")) {
    if (::recv(socket, &byte, 1, 0) != 1) return {};
    head += byte;
  }
  return head;
}

inline int connect_to(unsigned short port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

class RawServer {
 public:
  explicit RawServer(std::function<void(int)> serve, const char* address = "127.0.0.1") : serve_(std::move(serve)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in place{};
    place.sin_family = AF_INET;
    ::inet_pton(AF_INET, address, &place.sin_addr);
    socklen_t size = sizeof place;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&place), size) != 0) throw std::runtime_error("no free port on loopback");
    ::listen(listener_, 64);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&place), &size);
    port_ = ntohs(place.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;
  ~RawServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (auto& visitor : visitors_) ::shutdown(visitor.socket, SHUT_RDWR);
    for (auto& visitor : visitors_) {
      visitor.thread.join();
      ::close(visitor.socket);
    }
    ::close(listener_);
  }
  unsigned short port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  struct Visitor {
    int socket;
    std::thread thread;
  };
  void accept() {
    for (;;) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0) return;
      visitors_.push_back({socket, std::thread([this, socket] {
                             serve_(socket);
                             ::shutdown(socket, SHUT_RDWR);
                           })});
    }
  }

  std::function<void(int)> serve_;
  int listener_ = -1;
  unsigned short port_ = 0;
  std::list<Visitor> visitors_;  // by the acceptor until it has ended
  std::thread acceptor_;
};

}  // namespace cistern::upstream
