#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tests/fakes/http_client/http_client.hpp"

namespace cistern::fakes {

Connection::Connection(const Address& address, std::chrono::milliseconds timeout) : address_(address) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{static_cast<time_t>(timeout.count() / 1000), static_cast<suseconds_t>(timeout.count() % 1000 * 1000)};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.port);
  ::inet_pton(AF_INET, address.host.c_str(), &to.sin_addr);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) close();
}

Connection::~Connection() { close(); }

void Connection::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

bool Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Connection::ask(std::string_view method, std::string_view target, const Fields& headers) {
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
  if (!has_field(headers, "Host")) text += "Host: " + address_.text() + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  return send(text + "\r\n");
}

bool Connection::fill() {
  std::array<char, 65536> piece;
  const auto got = ::recv(socket_, piece.data(), piece.size(), 0);
  if (got <= 0) return false;
  buffer_.append(piece.data(), static_cast<std::size_t>(got));
  return true;
}

bool Connection::read_line(std::string& line) {
  std::size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill()) return false;
  }
  line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

Answer Connection::read_head(bool head_only) {
  Answer answer;
  if (!connected()) {
    answer.error = "no connection to " + address_.text();
    return answer;
  }
  std::size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) {
      answer.error = buffer_.empty() ? "closed, or silent, before the first byte" : "closed, or silent, within the head: " + buffer_;
      return answer;
    }
  }
  const auto head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  const auto first = head.find("\r\n");
  if (head.rfind("HTTP/1.", 0) != 0 || first < 12) {
    answer.error = "not HTTP: " + head;
    return answer;
  }
  answer.status = static_cast<unsigned>(std::strtoul(head.c_str() + 9, nullptr, 10));
  answer.headers = parse_fields(std::string_view(head).substr(first + 2));
  left_ = 0;
  in_chunk_ = false;
  if (head_only || answer.status == 204 || answer.status == 304 || answer.status / 100 == 1) {
    framing_ = Framing::kNone;
  } else if (same_name(answer.header("Transfer-Encoding"), "chunked")) {
    framing_ = Framing::kChunked;
  } else if (has_field(answer.headers, "Content-Length")) {
    framing_ = Framing::kLength;
    left_ = std::strtoull(answer.header("Content-Length").c_str(), nullptr, 10);
  } else {
    framing_ = Framing::kToEnd;
  }
  return answer;
}

void Connection::read_chunks(Answer& answer, std::size_t limit) {
  std::string line;
  while (answer.body.size() < limit) {
    if (!in_chunk_) {
      if (!read_line(line)) return;
      left_ = std::strtoull(line.c_str(), nullptr, 16);
      if (left_ == 0) {
        while (read_line(line) && !line.empty()) continue;  // trailers
        answer.complete = line.empty();
        return;
      }
      in_chunk_ = true;
    }
    if (buffer_.empty() && !fill()) return;
    const auto take = std::min({buffer_.size(), left_, limit - answer.body.size()});
    answer.body.append(buffer_, 0, take);
    buffer_.erase(0, take);
    left_ -= take;
    if (left_ == 0) {
      if (!read_line(line)) return;
      in_chunk_ = false;
    }
  }
}

void Connection::read_body(Answer& answer, std::size_t limit) {
  if (answer.status == 0 || answer.complete) return;
  switch (framing_) {
    case Framing::kNone: answer.complete = true; return;
    case Framing::kChunked: return read_chunks(answer, limit);
    case Framing::kLength:
    case Framing::kToEnd: break;
  }
  const bool to_end = framing_ == Framing::kToEnd;
  while (answer.body.size() < limit && (to_end || left_ > 0)) {
    if (buffer_.empty() && !fill()) {
      answer.complete = to_end;
      return;
    }
    const auto take = std::min({buffer_.size(), to_end ? buffer_.size() : left_, limit - answer.body.size()});
    answer.body.append(buffer_, 0, take);
    buffer_.erase(0, take);
    if (!to_end) left_ -= take;
  }
  answer.complete = !to_end && left_ == 0;
}

Answer Connection::read_answer(bool head_only) {
  auto answer = read_head(head_only);
  read_body(answer);
  return answer;
}

bool Connection::closed_by_peer() {
  if (!buffer_.empty()) return false;
  char byte;
  const auto got = ::recv(socket_, &byte, 1, 0);
  return got == 0 || (got < 0 && errno == ECONNRESET);
}

std::string Connection::read_to_end() {
  while (fill()) continue;
  return std::exchange(buffer_, {});
}

Answer fetch(const Address& address, std::string_view method, std::string_view target, const Fields& headers,
             std::chrono::milliseconds timeout) {
  Connection connection(address, timeout);
  auto fields = headers;
  if (!has_field(fields, "Connection")) fields.emplace_back("Connection", "close");
  connection.ask(method, target, fields);
  return connection.read_answer(method == "HEAD");
}

}  // namespace cistern::fakes
