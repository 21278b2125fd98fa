#include "http/stream.hpp"

#include <linux/sockios.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cistern::http {

namespace {
constexpr std::size_t kRecord = 16 << 10;  // of TLS, at most
}

void Pieces::add(std::string_view bytes, bool is_body) {
  if (bytes.empty()) return;
  parts_[count_] = {const_cast<char*>(bytes.data()), bytes.size()};
  is_body_[count_++] = is_body;
}

std::size_t Pieces::consume(std::size_t bytes) {
  std::size_t body = 0;
  while (bytes > 0) {
    iovec& part = parts_[first_];
    const std::size_t taken = std::min(bytes, part.iov_len);
    if (is_body_[first_]) body += taken;
    bytes -= taken;
    part.iov_base = static_cast<char*>(part.iov_base) + taken;
    part.iov_len -= taken;
    if (part.iov_len == 0) ++first_;
  }
  return body;
}

Stream::Stream(Socket socket, const std::shared_ptr<SSL_CTX>& tls, std::span<char> scratch)
    : socket_(std::move(socket)), scratch_(scratch) {
  if (tls == nullptr) return;
  ssl_.reset(SSL_new(tls.get()));  // holds its own reference to the context
  if (ssl_ != nullptr) SSL_set_fd(ssl_.get(), socket_.native_handle());
}

IoResult Stream::from_errno() const {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoState::kWaitWrite, 0};
  return {IoState::kClosed, 0};
}

IoResult Stream::from_ssl(int returned) {
  if (returned > 0) return {IoState::kDone, static_cast<std::size_t>(returned)};
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ: return {IoState::kWaitRead, 0};
    case SSL_ERROR_WANT_WRITE: return {IoState::kWaitWrite, 0};
    default: return {IoState::kClosed, 0};
  }
}

IoResult Stream::handshake() {
  ERR_clear_error();  // what another connection of this thread left there would be taken for ours
  return from_ssl(SSL_accept(ssl_.get()));
}

IoResult Stream::read(std::span<char> into) {
  ERR_clear_error();
  return from_ssl(SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size())));
}

IoResult Stream::write(const Pieces& pieces, bool more) {
  const std::span<const iovec> parts = pieces.rest();
  if (ssl_ == nullptr) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    ssize_t sent = 0;
    do {
      sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? from_errno() : IoResult{IoState::kDone, static_cast<std::size_t>(sent)};
  }
  ERR_clear_error();
  if (parts.size() == 1 || parts[0].iov_len >= kRecord) {
    return from_ssl(SSL_write(ssl_.get(), parts[0].iov_base, static_cast<int>(std::min(parts[0].iov_len, kRecord))));
  }
  // One record for all: gathered anew, and therefore the same, if OpenSSL asks for it again.
  std::size_t size = 0;
  for (const iovec& part : parts) {
    const std::size_t taken = std::min(part.iov_len, kRecord - size);
    std::memcpy(scratch_.data() + size, part.iov_base, taken);
    size += taken;
  }
  return from_ssl(SSL_write(ssl_.get(), scratch_.data(), static_cast<int>(size)));
}

IoResult Stream::send_file(int descriptor, std::uint64_t offset, std::uint64_t length) {
  if (ssl_ != nullptr) return send_file_encrypted(descriptor, offset, length);
  auto position = static_cast<off_t>(offset);
  ssize_t sent = 0;
  do {
    sent = ::sendfile(socket_.native_handle(), descriptor, &position, length);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? from_errno() : IoResult{IoState::kDone, static_cast<std::size_t>(sent)};
}

IoResult Stream::send_file_encrypted(int descriptor, std::uint64_t offset, std::uint64_t length) {
  const std::size_t wanted = std::min<std::uint64_t>(length, scratch_.size());
  ssize_t got = 0;
  do {
    got = ::pread(descriptor, scratch_.data(), wanted, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {IoState::kClosed, 0};
  std::size_t sent = 0;
  while (sent < static_cast<std::size_t>(got)) {
    ERR_clear_error();
    const std::size_t record = std::min(static_cast<std::size_t>(got) - sent, kRecord);
    const IoResult result = from_ssl(SSL_write(ssl_.get(), scratch_.data() + sent, static_cast<int>(record)));
    if (result.state != IoState::kDone) {
      // The record is offered again with the next call, read from the same place of a file that does not change.
      if (sent > 0 && result.state != IoState::kClosed) break;
      return result;
    }
    sent += result.bytes;
  }
  return {IoState::kDone, sent};
}

bool Stream::peer_gone() {
  pollfd descriptor{socket_.native_handle(), POLLRDHUP, 0};
  return ::poll(&descriptor, 1, 0) == 1 && (descriptor.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

bool Stream::has_input() {
  pollfd descriptor{socket_.native_handle(), POLLIN, 0};
  return (ssl_ != nullptr && SSL_has_pending(ssl_.get()) == 1) || (::poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLIN) != 0);
}

std::size_t Stream::unsent() {
  int bytes = 0;
  ::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes);
  return static_cast<std::size_t>(bytes);
}

void Stream::finish() {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close_with_reset() {
  boost::system::error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  close();
}

void Stream::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace cistern::http
