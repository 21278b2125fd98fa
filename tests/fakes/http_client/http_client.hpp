// A blocking HTTP/1.1 client for tests. A Connection is used by one thread; the free functions make one of their own and may be
// called from any thread. Nothing throws: what can not be had shows as status 0 and a text in `error`.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "tests/fakes/http_fields.hpp"

namespace cistern::fakes {

struct Address {
  std::string host = "127.0.0.1";
  unsigned short port = 0;
  std::string text() const { return host + ":" + std::to_string(port); }
  std::string url() const { return "http://" + text(); }
};

struct Answer {
  unsigned status = 0;  // 0: no answer; `error` says why
  Fields headers;
  std::string body;       // decoded from chunks
  bool complete = false;  // the body came to the end that its framing promised
  std::string error;

  std::string header(std::string_view name) const { return field(headers, name); }
};

class Connection {
 public:
  // `timeout`: longest wait for the next byte, in either direction.
  explicit Connection(const Address& address, std::chrono::milliseconds timeout = std::chrono::seconds(20));
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  bool connected() const { return socket_ >= 0; }
  // Bytes as they are; false if the other side has gone.
  bool send(std::string_view bytes);
  // "METHOD target HTTP/1.1", Host, the given fields.
  bool ask(std::string_view method, std::string_view target, const Fields& headers = {});
  // The head of the next answer, body empty. `head_only`: the request was a HEAD, so no body follows.
  Answer read_head(bool head_only = false);
  // More of the body, until it has `limit` bytes in all or is at its end.
  void read_body(Answer& answer, std::size_t limit = std::string::npos);
  Answer read_answer(bool head_only = false);
  // Whether the other side closes within the timeout, sending nothing more.
  bool closed_by_peer();
  // Everything that comes until the other side closes.
  std::string read_to_end();
  void close();

 private:
  bool fill();
  bool read_line(std::string& line);
  void read_chunks(Answer& answer, std::size_t limit);

  enum class Framing { kNone, kLength, kChunked, kToEnd };
  Address address_;
  int socket_ = -1;
  std::string buffer_;
  Framing framing_ = Framing::kNone;
  std::size_t left_ = 0;  // of the body, or of the chunk under way
  bool in_chunk_ = false;
};

Answer fetch(const Address& address, std::string_view method, std::string_view target, const Fields& headers = {},
             std::chrono::milliseconds timeout = std::chrono::seconds(20));
inline Answer get(const Address& address, std::string_view target, const Fields& headers = {}) {
  return fetch(address, "GET", target, headers);
}
inline Answer head(const Address& address, std::string_view target, const Fields& headers = {}) {
  return fetch(address, "HEAD", target, headers);
}

// GET by libcurl: for TLS, trusting the certificates in `ca_file` only (empty: the system's), and for public servers, through the proxy
// that the machine's environment names, with redirects followed.
Answer curl_get(const std::string& url, const std::string& ca_file = {});

}  // namespace cistern::fakes
