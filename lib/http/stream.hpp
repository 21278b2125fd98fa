// A connection's bytes, in plaintext or through TLS: one attempt at a time, without waiting. Whoever calls waits for what the attempt
// named, and tries again. OpenSSL works on the socket itself, so that an idle TLS connection holds no buffers of ours.
#pragma once

#include <openssl/ssl.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/async.hpp"

namespace cistern::http {

// On the io_context's own executor type: Asio then calls handlers without type erasure.
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

enum class IoState { kDone, kWaitRead, kWaitWrite, kClosed };
struct IoResult {
  IoState state = IoState::kDone;
  std::size_t bytes = 0;  // moved, when done
};

// A head and a piece of body in memory, to be sent in this order.
class Pieces {
 public:
  void add(std::string_view bytes, bool is_body);
  // Takes what has been sent; returns how much of it was body.
  std::size_t consume(std::size_t bytes);
  bool empty() const { return first_ == count_; }
  std::span<const iovec> rest() const { return {parts_.data() + first_, count_ - first_}; }

 private:
  std::array<iovec, 2> parts_{};
  std::array<bool, 2> is_body_{};
  std::size_t first_ = 0, count_ = 0;
};

class Stream {
 public:
  // `tls`: null for plaintext. `scratch`: memory that streams of one thread share within a call.
  static constexpr std::size_t kScratch = 64 << 10;
  Stream(Socket socket, const std::shared_ptr<SSL_CTX>& tls, std::span<char> scratch);

  Socket& socket() { return socket_; }
  bool is_tls() const { return ssl_ != nullptr; }

  IoResult handshake();
  // TLS only; plaintext is read through the socket, which knows whether the kernel has more.
  IoResult read(std::span<char> into);
  // `more`: something follows at once, so the kernel may wait for it before it sends.
  IoResult write(const Pieces& pieces, bool more);
  // sendfile, or pread and encrypt. Done with 0 bytes: the file ends before `offset`.
  IoResult send_file(int descriptor, std::uint64_t offset, std::uint64_t length);

  // Whether the client has closed its side, or the connection is broken.
  bool peer_gone();
  bool has_input();
  // Bytes that the kernel has taken from us and the client's kernel has not acknowledged.
  std::size_t unsent();
  // Tells the client that all has been said: close_notify, FIN.
  void finish();
  // The next close tells the client that something is missing, even where only the close marks the end.
  void close_with_reset();
  void close();

 private:
  struct SslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  IoResult from_ssl(int returned);
  IoResult from_errno() const;
  IoResult send_file_encrypted(int descriptor, std::uint64_t offset, std::uint64_t length);

  Socket socket_;
  std::unique_ptr<SSL, SslFree> ssl_;
  std::span<char> scratch_;
};

}  // namespace cistern::http
