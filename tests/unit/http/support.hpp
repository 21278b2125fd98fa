// A server on a port of its own, and a client that sends exactly the bytes it is told to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "http/server.hpp"

namespace cistern::http::testing {

using namespace std::chrono_literals;

inline std::unique_ptr<Server> serve(Handler handler, ServerOptions options = {}, ListenerOptions listener = {}) {
  if (options.threads == 0) options.threads = 1;
  if (listener.address.empty()) listener.address = "127.0.0.1:0";
  listener.handler = std::move(handler);
  std::vector<ListenerOptions> listeners;
  listeners.push_back(std::move(listener));
  auto server = Server::open(std::move(options), std::move(listeners));
  if (!server) {
    ADD_FAILURE() << server.error().message;
    return nullptr;
  }
  (*server)->start();
  return std::move(*server);
}

inline bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit = 5s) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < until) {
    if (condition()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

struct Answer {
  unsigned status = 0;
  std::string head;  // with its empty line, without the Date line
  std::string body;
  bool complete = false;
};

class Client {
 public:
  explicit Client(unsigned short port, int receive_buffer = 0) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer != 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(); }

  int socket() const { return socket_; }
  bool connected() const { return socket_ >= 0; }
  bool send(std::string_view bytes) {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  // More bytes; false at the end, on an error, or after the limit.
  bool receive(std::chrono::milliseconds limit = 10s) {
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(limit.count())) != 1) return false;
    char bytes[65536];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    was_reset_ = got < 0;
    ended_ = got <= 0;
    if (got > 0) received_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  // Everything until the server closes.
  std::string read_to_end() {
    while (receive()) {
    }
    return std::exchange(received_, {});
  }
  // Whether the server has closed its side within the limit.
  bool closed_within(std::chrono::milliseconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!ended_ && std::chrono::steady_clock::now() < until)
      receive(std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()));
    return ended_;
  }
  std::size_t read_available() const { return received_.size(); }
  bool was_reset() const { return was_reset_; }

  // One response, framed by its head. For HEAD there is no body.
  Answer answer(bool for_head = false) {
    Answer answer;
    std::size_t end = std::string::npos;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return answer;
    }
    answer.head = received_.substr(0, end + 4);
    received_.erase(0, end + 4);
    answer.status = static_cast<unsigned>(std::stoi(answer.head.substr(9, 3)));
    if (const std::size_t date = answer.head.find("Date: "); date != std::string::npos) {
      answer.head.erase(date, answer.head.find("\r\n", date) + 2 - date);
    }
    if (for_head || answer.status == 204 || answer.status == 304) {
      answer.complete = true;
    } else if (const std::size_t at = answer.head.find("Content-Length: "); at != std::string::npos) {
      take(answer, std::stoull(answer.head.substr(at + 16)));
    } else if (answer.head.find("chunked") != std::string::npos) {
      take_chunks(answer);
    } else {
      answer.body = read_to_end();
      answer.complete = ended_ && !was_reset_;
    }
    return answer;
  }

 private:
  bool take(Answer& answer, std::size_t size) {
    while (received_.size() < size && receive()) {
    }
    answer.body.append(received_, 0, size);
    answer.complete = received_.size() >= size;
    received_.erase(0, size);
    return answer.complete;
  }
  void take_chunks(Answer& answer) {
    while (true) {
      std::size_t end = std::string::npos;
      while ((end = received_.find("\r\n")) == std::string::npos) {
        if (!receive()) return;
      }
      const std::size_t size = std::stoull(received_.substr(0, end), nullptr, 16);
      received_.erase(0, end + 2);
      if (!take(answer, size)) return;
      answer.complete = false;
      Answer line_end;
      if (!take(line_end, 2) || line_end.body != "\r\n") return;
      if (size == 0) {
        answer.complete = true;
        return;
      }
    }
  }

  int socket_;
  std::string received_;
  bool ended_ = false;
  bool was_reset_ = false;
};

// Sends all, reads until the server closes; without Date lines.
inline std::string raw_exchange(unsigned short port, std::string_view request) {
  Client client(port);
  client.send(request);
  std::string text = client.read_to_end();
  for (std::size_t at = 0; (at = text.find("Date: ", at)) != std::string::npos;) text.erase(at, text.find("\r\n", at) + 2 - at);
  return text;
}

inline Answer get(unsigned short port, std::string_view target = "/") {
  Client client(port);
  client.send(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target));
  return client.answer();
}

// What the server told its observer. Thread-safe.
class Observations {
 public:
  struct Seen {
    bool parsed;
    unsigned status;
    std::string result;
    std::uint64_t sent_bytes;
    bool complete;
  };
  Observer observer() {
    return [this](const Exchange& exchange) {
      const std::lock_guard lock(mutex_);
      seen_.push_back({exchange.request != nullptr, exchange.status, exchange.annotation.result, exchange.sent_bytes, exchange.complete});
    };
  }
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  // The only one, once it is there.
  Seen only() const {
    eventually([&] { return !seen().empty(); });
    const auto all = seen();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Seen{} : all.front();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
};

// Answers "METHOD TARGET\n", and the body it got.
inline Awaitable<Response> echo(const Request& request) {
  co_return Response::text(200, request.method_text + " " + request.target + (request.body.empty() ? "" : " " + request.body));
}

}  // namespace cistern::http::testing
