#include "tests/fakes/loopback_server/wire.hpp"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace cistern::fakes {

Wire::Wire(int socket, void* tls, const std::atomic<bool>& server_down) : socket_(socket), server_down_(server_down) {
  if (tls == nullptr) return;
  auto* ssl = SSL_new(static_cast<SSL_CTX*>(tls));
  SSL_set_fd(ssl, socket);
  ssl_ = ssl;
  ok_ = SSL_accept(ssl) == 1;
}

Wire::~Wire() {
  if (ssl_ != nullptr) SSL_free(static_cast<SSL*>(ssl_));
}

bool Wire::fill() {
  std::array<char, 16384> piece;
  const long got =
      ssl_ != nullptr ? SSL_read(static_cast<SSL*>(ssl_), piece.data(), piece.size()) : ::recv(socket_, piece.data(), piece.size(), 0);
  if (got > 0) buffer_.append(piece.data(), static_cast<std::size_t>(got));
  return got > 0;
}

bool Wire::read_head(Head& head) {
  std::size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (buffer_.size() > (1 << 20) || !fill()) return false;
  }
  const auto text = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  const auto line = text.substr(0, text.find("\r\n"));
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string::npos || last <= first) return false;
  head = {line.substr(0, first), line.substr(first + 1, last - first - 1), parse_fields(std::string_view(text).substr(line.size() + 2))};
  return true;
}

bool Wire::read_body(std::size_t size, std::string& body) {
  while (buffer_.size() < size) {
    if (!fill()) return false;
  }
  body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return true;
}

bool Wire::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const long sent = ssl_ != nullptr
                          ? SSL_write(static_cast<SSL*>(ssl_), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 30)))
                          : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Wire::gone_within(int milliseconds) const {
  pollfd waiting{socket_, POLLRDHUP, 0};
  return server_down_ || ::poll(&waiting, 1, milliseconds) > 0;
}

bool Wire::wait(std::chrono::milliseconds duration) const {
  const auto until = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < until) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (gone_within(static_cast<int>(std::clamp<long>(left.count(), 1, 20)))) return false;
  }
  return true;
}

void Wire::wait_until_gone() const {
  while (!gone_within(20)) continue;
}

void Wire::arm_reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace cistern::fakes
