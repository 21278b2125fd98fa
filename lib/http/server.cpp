#include "http/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "http/listener.hpp"
#include "http/worker.hpp"

namespace cistern::http {

namespace {

constexpr std::chrono::milliseconds kPoll{2};      // while draining
constexpr std::chrono::milliseconds kUnwind{500};  // for coroutines to notice that they have been cut

class SocketServer final : public Server {
 public:
  explicit SocketServer(ServerOptions options) : options_(std::move(options)) {}
  ~SocketServer() override {
    if (!drained_) drain(std::chrono::milliseconds(0));
  }

  Result<void> listen(std::vector<ListenerOptions> listeners);

  void start() override {
    started_ = true;
    for (const auto& worker : workers_) worker->start();
  }
  void drain(std::chrono::milliseconds limit) override;
  unsigned short port(std::size_t listener) const override { return listeners_.at(listener)->endpoint.port(); }
  std::size_t connections() const override { return connections_; }
  void reload_certificates() override {
    for (const auto& listener : listeners_) {
      if (listener->certificates != nullptr && !listener->options.tls_from_memory) listener->certificates->reload();
    }
  }
  Result<void> use_certificate(std::size_t listener, const std::string& cert_pem, const std::string& key_pem) override {
    return listeners_.at(listener)->certificates->use(cert_pem, key_pem);
  }

 private:
  // Waits until every worker has stopped accepting and no connection is left, or until `limit` is over.
  void wait_until_empty(std::chrono::milliseconds limit) const;

  const ServerOptions options_;
  std::atomic<std::size_t> connections_ = 0;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Worker>> workers_;
  bool started_ = false;
  bool drained_ = false;
};

Result<void> SocketServer::listen(std::vector<ListenerOptions> listeners) {
  for (ListenerOptions& options : listeners) {
    const Result<asio::ip::tcp::endpoint> endpoint = parse_endpoint(options.address);
    if (!endpoint) return fail(endpoint.error());
    auto listener = std::make_unique<Listener>();
    listener->endpoint = *endpoint;
    if (!options.tls_cert_file.empty() || !options.tls_key_file.empty()) {
      Result<std::unique_ptr<Certificates>> certificates = Certificates::open(options.tls_cert_file, options.tls_key_file);
      if (!certificates) return fail(certificates.error());
      listener->certificates = std::move(*certificates);
    } else if (options.tls_from_memory) {
      listener->certificates = std::make_unique<Certificates>();
    }
    listener->options = std::move(options);
    listeners_.push_back(std::move(listener));
  }
  const unsigned threads = options_.threads != 0 ? options_.threads : std::max(1U, std::thread::hardware_concurrency());
  for (unsigned thread = 0; thread < threads; ++thread) {
    std::vector<int> descriptors;
    for (const auto& listener : listeners_) {
      const Result<int> descriptor = listen_on(listener->endpoint, thread == 0);
      if (!descriptor) {
        for (const int opened : descriptors) ::close(opened);
        return fail(descriptor.error());
      }
      descriptors.push_back(*descriptor);
    }
    workers_.push_back(std::make_unique<Worker>(options_, connections_, listeners_, descriptors));
  }
  return {};
}

void SocketServer::drain(std::chrono::milliseconds limit) {
  drained_ = true;
  if (!started_) return;
  for (const auto& worker : workers_) worker->drain();
  wait_until_empty(limit);
  if (connections_ != 0) {
    for (const auto& worker : workers_) worker->cut();
    wait_until_empty(kUnwind);
  }
  for (const auto& worker : workers_) worker->stop();
}

void SocketServer::wait_until_empty(std::chrono::milliseconds limit) const {
  const auto until = std::chrono::steady_clock::now() + limit;
  const auto empty = [&] {
    return connections_ == 0 &&
           std::all_of(workers_.begin(), workers_.end(), [](const auto& worker) { return worker->has_stopped_accepting(); });
  };
  while (!empty() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(kPoll);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::open(ServerOptions options, std::vector<ListenerOptions> listeners) {
  std::signal(SIGPIPE, SIG_IGN);
  auto server = std::make_unique<SocketServer>(std::move(options));
  if (const Result<void> listening = server->listen(std::move(listeners)); !listening) return fail(listening.error());
  return server;
}

}  // namespace cistern::http
