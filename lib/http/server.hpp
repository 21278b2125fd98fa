// An HTTP/1.1 server: one io_context and one SO_REUSEPORT acceptor for each thread and listener; a connection stays on the thread that
// accepted it. Handlers are coroutines on that thread; they must not block it.
//
// What it does by itself: keep-alive, pipelining, time limits (header 408, idle close, stalled send close), size limits (431), Expect is
// ignored for requests without body and answered with 100 Continue where a body is waited for, HEAD, chunking, Date, graceful drain, TLS
// with certificates reloaded when their files change. What it refuses before a handler sees it, with 400 and a close: whatever could hide a
// second request. That is GET and HEAD with any Transfer-Encoding or a Content-Length above 0, no or several Hosts (HTTP/1.1), folded
// headers, several differing Content-Lengths, control characters, a target that is not in origin form (absolute form is 400 too). The rule
// is checked on the raw fields, because the parser of Beast 1.74 takes "Transfer-Encoding: xchunked" for a request without body.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/async.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/units.hpp"
#include "http/message.hpp"

namespace cistern::http {

// Called for each request, on the connection's thread. `request` lives until the response has been sent. An exception is logged and
// answered with 500. A handler is not told when its client hangs up; the source of a body is (BodySource::cancel, within half a second;
// a client that only closes its sending side counts as gone there).
using Handler = std::function<Awaitable<Response>(const Request& request)>;

// What became of a request; told to the observer when its last byte has been handed to the kernel, or the client has gone.
struct Exchange {
  const Request* request;  // null where it could not be parsed
  unsigned status;
  Annotation annotation;
  std::uint64_t sent_bytes;            // of the body
  bool complete;                       // false: closed short, by us or by the client
  std::chrono::microseconds duration;  // from the header's last byte to the response's last byte
};
// Thread-safe; called on the connection's thread.
using Observer = std::function<void(const Exchange&)>;

struct ListenerOptions {
  std::string address;  // HOST:PORT, [V6]:PORT; port 0 picks one (Server::port)
  Handler handler;
  bool allow_body = false;                  // POST with a body (admin, webhook) …
  Bytes max_body = kib(64);                 // … of at most this; a larger one is 413. It is in memory as a whole
  std::string tls_cert_file, tls_key_file;  // empty: plaintext
  // TLS with what Server::use_certificate gives, instead of files; until then connections are closed as they come.
  bool tls_from_memory = false;
};

struct ServerOptions {
  unsigned threads = 0;  // 0: one for each core
  Bytes max_header = kib(16);
  std::chrono::milliseconds header_timeout = std::chrono::seconds(10);  // from the first byte of a request to its last header byte
  std::chrono::milliseconds idle_timeout = std::chrono::seconds(75);    // between requests
  std::chrono::milliseconds send_timeout = std::chrono::seconds(60);    // without a byte taken by the client
  unsigned max_connections = 16384;                                     // more are answered 503 and closed
  Observer observer;
};

class Server {
 public:
  // Binds every listener, and ignores SIGPIPE for the whole process (sendfile has no flag for it). kInvalid for an address that can not be
  // parsed, kIo "… already in use; another program listens there …" for a taken port.
  static Result<std::unique_ptr<Server>> open(ServerOptions options, std::vector<ListenerOptions> listeners);
  // Cuts what is left if drain() was not called. Handlers that still wait are destroyed here without being resumed, so what they refer to
  // must outlive the server, and pools that would complete onto its threads must have ended before.
  virtual ~Server() = default;

  // Starts the threads and returns.
  virtual void start() = 0;
  // Stops accepting, closes idle connections, lets responses under way end (with Connection: close), and returns when all are gone
  // or `limit` is over, when the rest is cut. Called once; the threads have ended when it returns.
  virtual void drain(std::chrono::milliseconds limit) = 0;
  // The port that a listener got, by its index.
  virtual unsigned short port(std::size_t listener) const = 0;
  virtual std::size_t connections() const = 0;
  // Looks at the certificate files and takes new ones into use for new connections; a bad pair is logged and the old one stays.
  virtual void reload_certificates() = 0;
  // For new connections of a listener with tls_from_memory: a chain and its key, as PEM. kInvalid if they can not be used together; those
  // in use stay then. Thread-safe.
  virtual Result<void> use_certificate(std::size_t listener, const std::string& cert_pem, const std::string& key_pem) = 0;
};

}  // namespace cistern::http
