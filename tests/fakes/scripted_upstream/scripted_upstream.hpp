// A scripted HTTP/1.1 server on 127.0.0.1: a thread for each connection, blocking sockets. Every public function may be called from any
// thread at any time, so a script may change in the middle of a test; an answer under way keeps the script it began with.
//
// What has no script is 404. A HEAD is answered by the script of HEAD if there is one, else by that of GET, without its body. Ranges
// ("bytes=a-", "bytes=a-b") and If-Range (by ETag) are honoured unless the reply says otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/fakes/http_fields.hpp"
#include "tests/fakes/loopback_server/certificate.hpp"
#include "tests/fakes/loopback_server/loopback_server.hpp"

namespace cistern::fakes {

// Something that answers wait for until the test opens it.
class Gate {
 public:
  void open() { open_ = true; }
  bool is_open() const { return open_; }

 private:
  std::atomic<bool> open_ = false;
};

struct Reply {
  unsigned status = 200;
  Fields headers = {};  // besides those of framing
  std::string body = {};
  bool chunked = false;                // no Content-Length
  bool ranges = true;                  // false: a Range is ignored
  std::chrono::milliseconds delay{0};  // before the head
  std::shared_ptr<Gate> gate = {};     // waited for before the head, or, with gate_after, after that many bytes of the body
  std::optional<std::size_t> gate_after = {};
  bool silent = false;                          // the head never comes
  std::optional<std::size_t> stall_after = {};  // then silence, the connection open
  std::optional<std::size_t> cut_after = {};    // then the connection is closed, short
  bool reset = false;                           // closed by RST: before the head, or with cut_after, there
  std::size_t piece = 65536;                    // bytes written at a time …
  std::chrono::milliseconds pause{0};           // … and the rest between two of them (a trickle)
  std::string raw = {};                         // sent as it is in place of all that, then closed
};

// A request as it was seen.
struct Asked : Wire::Head {
  std::string path() const { return target.substr(0, target.find('?')); }
  std::string header(std::string_view name) const { return field(headers, name); }
};

// The Bearer flow. Tokens come from /token of the same server, or from whatever the realm says.
struct BearerAuth {
  std::string realm = {};                    // empty: our own /token
  std::string username = {}, password = {};  // asked for at /token; empty: a token for anyone
  std::optional<unsigned> expires_in = 300;
  bool accept = true;  // false: no token is ever good enough
};

using Responder = std::function<Reply(const Asked&)>;

class ScriptedUpstream {
 public:
  enum class Tls { kOff, kSelfSigned };
  explicit ScriptedUpstream(Tls tls = Tls::kOff);
  ScriptedUpstream(const ScriptedUpstream&) = delete;
  ScriptedUpstream& operator=(const ScriptedUpstream&) = delete;

  unsigned short port() const { return server_.port(); }
  std::string authority() const { return "127.0.0.1:" + std::to_string(port()); }
  std::string url() const { return (!certificate().empty() ? "https://" : "http://") + authority(); }
  // The certificate that it shows, PEM; empty without TLS.
  const std::string& certificate() const { return certificate_.cert_pem; }

  // `what`: a path, a path with its query (which then wins), or either after "HEAD ".
  void on(const std::string& what, Reply reply);
  // One after the other; the last is repeated.
  void on(const std::string& what, std::vector<Reply> replies);
  // Everything below a prefix that has no script of its own; called on the connection's thread.
  void on_prefix(const std::string& prefix, Responder responder);
  // Forgets every script and prefix; what was recorded stays.
  void clear();

  void require_bearer(const std::string& prefix, BearerAuth auth = {});
  void require_basic(const std::string& prefix, const std::string& username, const std::string& password);
  // No token given so far is accepted any more.
  void expire_tokens();

  // Not there: connections are cut, new ones refused. And back again, on the same port.
  void go_down() { server_.go_down(); }
  void come_up() { server_.come_up(); }

  std::size_t count() const;
  // By path, without a query.
  std::size_t count(std::string_view method, std::string_view path) const;
  std::vector<Asked> asked() const;
  std::vector<Asked> asked(std::string_view path) const;
  void forget();
  // Whether that many such requests come within the time.
  bool wait_for(std::string_view method, std::string_view path, std::size_t times,
                std::chrono::milliseconds limit = std::chrono::seconds(5)) const;
  // Connections accepted so far.
  std::size_t connections() const { return server_.accepted(); }

 private:
  friend class Serving;
  struct Script {
    std::vector<std::shared_ptr<const Reply>> replies;
    std::size_t next = 0;
  };
  struct Guard {
    std::string prefix;
    bool basic = false;
    BearerAuth auth;
  };

  void serve(Wire& wire);
  std::shared_ptr<const Reply> reply_to(const Asked& asked);
  std::shared_ptr<const Reply> scripted(const Asked& asked);
  std::optional<Reply> challenge(const Asked& asked);
  Reply token(const Asked& asked);

  const Certificate certificate_;

  mutable std::mutex mutex_;
  mutable std::condition_variable recorded_;
  std::map<std::string, Script> scripts_;
  std::vector<std::pair<std::string, Responder>> prefixes_;
  std::vector<Guard> guards_;
  std::map<std::string, std::chrono::steady_clock::time_point> tokens_;
  unsigned tokens_given_ = 0;
  std::vector<Asked> asked_;

  LoopbackServer server_;  // the last: its threads use the rest
};

}  // namespace cistern::fakes
