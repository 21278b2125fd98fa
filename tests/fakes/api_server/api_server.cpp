#include "tests/fakes/api_server/api_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include "base/encoding.hpp"
#include "tests/fakes/api_server/certificate.hpp"
#include "tests/fakes/api_server/connection.hpp"

namespace cistern::fakes {

std::string ApiRequest::parameter(std::string_view name) const {
  std::string_view rest(query);
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const auto equal = pair.find('=');
    if (pair.substr(0, equal) != name) continue;
    const auto value = equal == std::string_view::npos ? std::string_view() : pair.substr(equal + 1);
    return percent_decode(value).value_or(std::string(value));
  }
  return {};
}

bool ApiRequest::is_watch() const { return method == "GET" && parameter("watch") == "true"; }

ApiServer::ApiServer(ApiServerOptions options) : options_(std::move(options)), tokens_(options_.tokens) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  if (options_.tls) {
    const auto names = options_.certificate_names.empty() ? "IP:127.0.0.1,IP:::1,DNS:localhost" : options_.certificate_names;
    const auto certificate = make_certificate("fake API server", names);
    certificate_ = certificate.cert_pem;
    tls_ = server_context(certificate, options_.client_ca_pem);
  }
  listen_on(0);
}

ApiServer::~ApiServer() { go_down(); }

std::string ApiServer::url() const {
  return fmt::format("{}://{}:{}", tls_ ? "https" : "http", options_.ipv6 ? "[::1]" : "127.0.0.1", port_);
}

void ApiServer::listen_on(unsigned short port) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_port = htons(port);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.sin_port = htons(port);
  auto* address = options_.ipv6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  socklen_t size = options_.ipv6 ? sizeof v6 : sizeof v4;
  // The port may be taken for a moment by somebody's outgoing connection while we are down.
  bool listening = false;
  for (int tries = 0; tries < 200 && !listening; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    listener_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    listening = ::bind(listener_, address, size) == 0 && ::listen(listener_, 1024) == 0;
    if (!listening) ::close(listener_);
  }
  if (!listening) throw std::runtime_error("the fake API server can not listen");
  ::getsockname(listener_, address, &size);
  port_ = ntohs(options_.ipv6 ? v6.sin6_port : v4.sin_port);
  acceptor_ = std::thread(&ApiServer::accept_loop, this, listener_);
}

void ApiServer::accept_loop(int listener) {
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
    visitor.thread = std::thread(&ApiServer::visit, this, &visitor);
  }
}

void ApiServer::visit(Visitor* visitor) {
  ApiConnection(*this, visitor->socket).run();
  const std::lock_guard lock(visitors_mutex_);
  ::close(visitor->socket);
  visitor->socket = -1;
  visitor->done = true;
}

// Joins the threads that have ended; with `all`, ends the others first.
void ApiServer::reap(bool all) {
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

void ApiServer::go_down() {
  if (down_.exchange(true)) return;
  acceptor_.join();
  ::close(listener_);
  reap(true);
}

void ApiServer::come_up() {
  if (!down_.exchange(false)) return;
  listen_on(port_);
}

kube::Json ApiServer::put(const kube::Resource& resource, kube::Json object) {
  object["kind"] = resource.kind;
  object["apiVersion"] = resource.api_version();
  const auto collection = collection_of(resource);
  const auto key = kube::key_of(object);
  const std::lock_guard lock(mutex_);
  const auto exists = store_.find(collection, key).has_value();
  if (!exists) object["metadata"].erase("resourceVersion");
  auto outcome =
      exists ? store_.replace(collection, key, std::move(object), ObjectStore::Part::kAll) : store_.create(collection, std::move(object));
  changed_.notify_all();
  if (outcome.failure) throw std::runtime_error("put: " + outcome.failure->message);
  return std::move(outcome.object);
}

kube::Json ApiServer::patch(const kube::Resource& resource, const kube::ObjectKey& key, const kube::Json& merge) {
  const std::lock_guard lock(mutex_);
  auto outcome = store_.merge(collection_of(resource), key, merge, ObjectStore::Part::kAll);
  changed_.notify_all();
  if (outcome.failure) throw std::runtime_error("patch: " + outcome.failure->message);
  return std::move(outcome.object);
}

bool ApiServer::remove(const kube::Resource& resource, const kube::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  return store_.erase(collection_of(resource), key);
}

std::optional<kube::Json> ApiServer::object(const kube::Resource& resource, const kube::ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  return store_.find(collection_of(resource), key);
}

std::vector<kube::Json> ApiServer::objects(const kube::Resource& resource) const {
  const std::lock_guard lock(mutex_);
  return store_.list(collection_of(resource));
}

void ApiServer::compact() {
  const std::lock_guard lock(mutex_);
  store_.compact();
}

void ApiServer::set_tokens(std::vector<std::string> tokens) {
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens);
}

// With mutex_ held.
bool ApiServer::admitted(const ApiRequest& request) const {
  if (tokens_.empty()) return true;
  const auto shown = field(request.headers, "Authorization");
  return std::any_of(tokens_.begin(), tokens_.end(), [&](const std::string& token) { return shown == "Bearer " + token; });
}

}  // namespace cistern::fakes
