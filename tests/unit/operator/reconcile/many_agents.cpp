#include "tests/unit/operator/reconcile/many_agents.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>
#include <stdexcept>
#include <vector>

namespace cistern::reconcile {
namespace {

constexpr std::string_view kMapped = "::ffff:";  // a V4 address on a socket for both

std::string local_address(int socket) {
  sockaddr_in6 address{};
  socklen_t size = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
  std::string name = text.data();
  return name.starts_with(kMapped) ? name.substr(kMapped.size()) : name;
}

struct Connection {
  std::string address;
  std::string in;
  std::string out;
};

// What stands in `in` of whole requests is answered into `out`.
void answer_requests(Connection& connection, const Answer& answer) {
  for (;;) {
    const auto end = connection.in.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const auto path = connection.in.find(' ') + 1;
    connection.out += answer(connection.address, connection.in.substr(path, connection.in.find(' ', path) - path));
    connection.in.erase(0, end + 4);
  }
}

// False: the other side has gone.
bool read_some(int socket, Connection& connection) {
  std::array<char, 4096> bytes{};
  const auto got = recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got > 0) connection.in.append(bytes.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EAGAIN);
}

bool write_some(int socket, Connection& connection) {
  const auto sent = send(socket, connection.out.data(), connection.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) connection.out.erase(0, static_cast<std::size_t>(sent));
  return sent >= 0 || errno == EAGAIN;
}

}  // namespace

std::string http_answer(const std::string& body, const std::string& status) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string as_agent(const std::string& address, const std::string& path) {
  if (path == "/status") {
    return http_answer(
        R"({"fills": [], "upstreams": [{"name": "main", "state": "closed", "failures": 0, "error": ""}], "version": "1.0.0", "config_hash": "hash-)" +
        address + "\"}");
  }
  return http_answer(
      "cistern_requests_total{ecosystem=\"go\",result=\"hit\",code=\"200\"} 9\n"
      "cistern_requests_total{ecosystem=\"go\",result=\"miss\",code=\"200\"} 1\n"
      "cistern_sent_bytes_total 1000\ncistern_upstream_received_bytes_total{upstream=\"main\"} 100\ncistern_store_bytes 50\n");
}

ManyAgents::ManyAgents(Answer answer) : answer_(std::move(answer)), listener_(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int off = 0;
  setsockopt(listener_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 1024) != 0) {
    throw std::runtime_error("no port to listen on");
  }
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin6_port);
  thread_ = std::thread([this] { run(); });
}

ManyAgents::~ManyAgents() {
  stopping_ = true;
  thread_.join();
  close(listener_);
}

void ManyAgents::run() {
  std::map<int, Connection> connections;
  while (!stopping_) {
    std::vector<pollfd> waiting = {{listener_, POLLIN, 0}};
    for (const auto& [socket, connection] : connections) {
      waiting.push_back({socket, static_cast<short>(connection.out.empty() ? POLLIN : POLLIN | POLLOUT), 0});
    }
    poll(waiting.data(), waiting.size(), 20);
    if (waiting[0].revents != 0) {
      if (const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); socket >= 0) {
        ++connections_;
        connections[socket] = {local_address(socket), "", ""};
      }
    }
    for (std::size_t i = 1; i < waiting.size(); ++i) {
      const auto& [socket, wanted, got] = waiting[i];
      auto& connection = connections.at(socket);
      bool alive = true;
      if ((got & (POLLIN | POLLHUP | POLLERR)) != 0) alive = read_some(socket, connection);
      answer_requests(connection, answer_);
      if (alive && !connection.out.empty()) alive = write_some(socket, connection);
      if (alive) continue;
      close(socket);
      connections.erase(socket);
    }
  }
  for (const auto& [socket, connection] : connections) close(socket);
}

}  // namespace cistern::reconcile
