#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/fakes/scripted_upstream/wire.hpp"

namespace cistern::fakes {

ScriptedUpstream::ScriptedUpstream(Tls tls) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  if (tls == Tls::kSelfSigned) tls_ = make_tls_context(certificate_);
  listen_on(0);
}

ScriptedUpstream::~ScriptedUpstream() { go_down(); }

void ScriptedUpstream::listen_on(unsigned short port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  // The port may be taken for a moment by somebody's outgoing connection while we are down.
  for (int tries = 0; tries < 200; ++tries) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && ::listen(listener_, 1024) == 0) break;
    ::close(listener_);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  socklen_t size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread(&ScriptedUpstream::accept_loop, this, listener_);
}

void ScriptedUpstream::accept_loop(int listener) {
  while (!down_) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++accepted_;
    reap(false);
    const std::lock_guard lock(visitors_mutex_);
    auto& visitor = visitors_.emplace_back();
    visitor.socket = socket;
    visitor.thread = std::thread(&ScriptedUpstream::visit, this, &visitor);
  }
}

// Joins the threads that have ended; with `all`, ends the others first.
void ScriptedUpstream::reap(bool all) {
  std::list<Visitor> ended;
  {
    const std::lock_guard lock(visitors_mutex_);
    for (auto visitor = visitors_.begin(); visitor != visitors_.end();) {
      auto current = visitor++;
      if (all && current->socket >= 0) ::shutdown(current->socket, SHUT_RDWR);
      if (all || current->done) ended.splice(ended.end(), visitors_, current);
    }
  }
  for (auto& visitor : ended) visitor.thread.join();
}

void ScriptedUpstream::go_down() {
  if (down_.exchange(true)) return;
  acceptor_.join();
  ::close(listener_);
  reap(true);
}

void ScriptedUpstream::come_up() {
  if (!down_.exchange(false)) return;
  listen_on(port_);
}

void ScriptedUpstream::on(const std::string& what, Reply reply) { on(what, std::vector<Reply>{std::move(reply)}); }

void ScriptedUpstream::on(const std::string& what, std::vector<Reply> replies) {
  Script script;
  for (auto& reply : replies) script.replies.push_back(std::make_shared<const Reply>(std::move(reply)));
  const std::lock_guard lock(mutex_);
  scripts_[what] = std::move(script);
}

void ScriptedUpstream::on_prefix(const std::string& prefix, Responder responder) {
  const std::lock_guard lock(mutex_);
  prefixes_.emplace_back(prefix, std::move(responder));
  std::stable_sort(prefixes_.begin(), prefixes_.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

void ScriptedUpstream::clear() {
  const std::lock_guard lock(mutex_);
  scripts_.clear();
  prefixes_.clear();
}

// With mutex_ held.
std::shared_ptr<const Reply> ScriptedUpstream::scripted(const Asked& asked) {
  const auto path = asked.path();
  for (const auto& what : {"HEAD " + asked.target, "HEAD " + path, asked.target, path}) {
    if (what.starts_with("HEAD ") && asked.method != "HEAD") continue;
    const auto found = scripts_.find(what);
    if (found == scripts_.end()) continue;
    auto& script = found->second;
    const auto index = std::min(script.next, script.replies.size() - 1);
    ++script.next;
    return script.replies[index];
  }
  return nullptr;
}

std::shared_ptr<const Reply> ScriptedUpstream::reply_to(const Asked& asked) {
  Responder responder;
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(asked);
    recorded_.notify_all();
    if (auto refused = challenge(asked)) return std::make_shared<const Reply>(std::move(*refused));
    if (auto reply = scripted(asked)) return reply;
    if (asked.path() == "/token") return std::make_shared<const Reply>(token(asked));
    for (const auto& [prefix, candidate] : prefixes_) {
      if (!asked.target.starts_with(prefix)) continue;
      responder = candidate;
      break;
    }
  }
  if (responder) return std::make_shared<const Reply>(responder(asked));
  return std::make_shared<const Reply>(Reply{.status = 404, .headers = {{"Content-Type", "text/plain"}}, .body = "not in the script\n"});
}

std::size_t ScriptedUpstream::count() const {
  const std::lock_guard lock(mutex_);
  return asked_.size();
}

std::size_t ScriptedUpstream::count(std::string_view method, std::string_view path) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(asked_.begin(), asked_.end(), [&](const Asked& asked) { return asked.method == method && asked.path() == path; }));
}

std::vector<Asked> ScriptedUpstream::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

std::vector<Asked> ScriptedUpstream::asked(std::string_view path) const {
  std::vector<Asked> found;
  for (auto& one : asked()) {
    if (one.path() == path) found.push_back(std::move(one));
  }
  return found;
}

void ScriptedUpstream::forget() {
  const std::lock_guard lock(mutex_);
  asked_.clear();
}

bool ScriptedUpstream::wait_for(std::string_view method, std::string_view path, std::size_t times, std::chrono::milliseconds limit) const {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (count(method, path) < times) {
    std::unique_lock lock(mutex_);
    if (recorded_.wait_until(lock, std::min(until, std::chrono::steady_clock::now() + std::chrono::milliseconds(50))) ==
            std::cv_status::timeout &&
        std::chrono::steady_clock::now() >= until) {
      lock.unlock();
      return count(method, path) >= times;
    }
  }
  return true;
}

}  // namespace cistern::fakes
