// A connected socket, plain or TLS, and the certificate for the latter. Used by one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace cistern::fakes {

// An SSL_CTX with a fresh self-signed certificate for 127.0.0.1 and localhost, which is also written to `pem`.
std::shared_ptr<void> make_tls_context(std::string& pem);

class Wire {
 public:
  // `tls`: an SSL_CTX, or null. The socket is closed by whoever opened it.
  Wire(int socket, void* tls);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  bool ok() const { return ok_; }
  // 0 at the end, negative on failure.
  long read(char* data, std::size_t size);
  bool write(std::string_view bytes);
  // Whether the other side has hung up; waits for that up to `milliseconds`.
  bool gone_within(int milliseconds);
  // The close that follows is an RST.
  void arm_reset();

 private:
  int socket_;
  void* ssl_ = nullptr;
  bool ok_ = true;
};

}  // namespace cistern::fakes
