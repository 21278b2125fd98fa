// A server's side of one connection, plain or TLS. Used by one thread. A server that goes down counts as a client that is gone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "tests/fakes/http_fields.hpp"

namespace cistern::fakes {

class Wire {
 public:
  // `tls`: an SSL_CTX, or null. The socket is closed by whoever opened it.
  Wire(int socket, void* tls, const std::atomic<bool>& server_down);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // False if TLS did not come about, or the server is down.
  bool ok() const { return ok_ && !server_down_; }
  struct Head {
    std::string method;
    std::string target;  // as sent, with its query
    Fields headers;
  };
  // The next request's. False at the end, on failure, and for what is no request.
  bool read_head(Head& head);
  // As many bytes of its body. False if they do not come.
  bool read_body(std::size_t size, std::string& body);
  bool write(std::string_view bytes);
  // Whether the other side has hung up; waits for that up to `milliseconds`.
  bool gone_within(int milliseconds) const;
  // False if the other side has gone meanwhile.
  bool wait(std::chrono::milliseconds duration) const;
  void wait_until_gone() const;
  // The close that follows is an RST.
  void arm_reset();

 private:
  bool fill();

  const int socket_;
  const std::atomic<bool>& server_down_;
  void* ssl_ = nullptr;
  bool ok_ = true;
  std::string buffer_;
};

}  // namespace cistern::fakes
