#include "http/worker.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "http/session.hpp"

namespace cistern::http {

namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};  // while there are no file descriptors or no memory

// Twice a second, and oftener only where a time limit is shorter than that.
std::chrono::milliseconds sweep_interval(const ServerOptions& options) {
  const auto shortest = std::min({options.header_timeout, options.idle_timeout, options.send_timeout});
  return std::clamp<std::chrono::milliseconds>(shortest / 4, std::chrono::milliseconds(10), std::chrono::milliseconds(500));
}

}  // namespace

Worker::Worker(const ServerOptions& options, std::atomic<std::size_t>& connections, std::span<const std::unique_ptr<Listener>> listeners,
               std::span<const int> descriptors)
    : state_(options, connections), sweep_interval_(sweep_interval(options)), sweep_timer_(state_.context) {
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    acceptors_.push_back(std::unique_ptr<Acceptor>(
        new Acceptor{*listeners[i], AcceptorSocket(state_.context, listeners[i]->endpoint.protocol(), descriptors[i]),
                     decltype(Acceptor::pause)(state_.context)}));
  }
}

void Worker::start() { thread_ = std::thread(&Worker::run, this); }

void Worker::run() {
  const auto work = asio::make_work_guard(state_.context);
  for (const auto& acceptor : acceptors_) accept_next(*acceptor);
  schedule_sweep();
  while (!state_.context.stopped()) {
    try {
      state_.context.run();
    } catch (const std::exception& exception) {
      spdlog::error("a handler let an exception escape: {}", exception.what());
    }
  }
}

void Worker::accept_next(Acceptor& acceptor) {
  acceptor.socket.async_accept([this, &acceptor](const boost::system::error_code& error, Socket socket) {
    if (error == asio::error::operation_aborted || !acceptor.socket.is_open()) return;
    if (error) return accept_failed(acceptor, error);
    acceptor.failing = false;
    admit(acceptor.listener, std::move(socket));
    accept_next(acceptor);
  });
}

void Worker::accept_failed(Acceptor& acceptor, const boost::system::error_code& error) {
  if (error == asio::error::connection_aborted) return accept_next(acceptor);  // the client was quicker
  if (!acceptor.failing) {
    spdlog::error("{}: can not accept connections: {}; trying again until it works. Raise the limit of open files if it is reached",
                  acceptor.listener.options.address, error.message());
  }
  acceptor.failing = true;
  acceptor.pause.expires_after(kAcceptPause);
  acceptor.pause.async_wait([this, &acceptor](const boost::system::error_code& cancelled) {
    if (!cancelled && acceptor.socket.is_open()) accept_next(acceptor);
  });
}

void Worker::admit(const Listener& listener, Socket socket) {
  boost::system::error_code error;
  socket.native_non_blocking(true, error);
  if (!error) socket.set_option(asio::ip::tcp::no_delay(true), error);
  asio::ip::tcp::endpoint remote;
  if (!error) remote = socket.remote_endpoint(error);
  if (error) return;  // the client has gone already
  if (state_.connections >= state_.options.max_connections) return turn_away(listener, socket);
  const std::shared_ptr<SSL_CTX> tls = listener.certificates == nullptr ? nullptr : listener.certificates->current();
  if (listener.certificates != nullptr && tls == nullptr) return;  // there is no certificate yet
  Stream stream(std::move(socket), tls, state_.scratch());
  if (tls != nullptr && !stream.is_tls()) return;  // OpenSSL has no memory; plaintext is not the answer to that
  auto session = std::make_unique<Session>(state_, listener, std::move(stream), remote.address().to_string());
  asio::co_spawn(state_.context, Session::run(std::move(session)), asio::detached);
}

void Worker::turn_away(const Listener& listener, Socket& socket) {
  static constexpr std::string_view kAnswer =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"
      "Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
  if (listener.certificates != nullptr) return;
  const int descriptor = socket.native_handle();
  // Reading first, since closing with unread input would be a reset that overtakes the answer.
  ::recv(descriptor, state_.scratch().data(), state_.scratch().size(), MSG_DONTWAIT);
  ::send(descriptor, kAnswer.data(), kAnswer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(descriptor, SHUT_WR);
}

void Worker::schedule_sweep() {
  sweep_timer_.expires_after(sweep_interval_);
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    const SteadyTime now = std::chrono::steady_clock::now();
    // Backwards: a session that ends here leaves its place to the last one, which has been visited.
    for (std::size_t i = state_.sessions.size(); i-- > 0;) state_.sessions[i]->sweep(now);
    schedule_sweep();
  });
}

void Worker::drain() {
  asio::post(state_.context, [this] {
    state_.draining = true;
    for (const auto& acceptor : acceptors_) {
      boost::system::error_code error;
      acceptor->socket.non_blocking(true, error);
      while (!error) {
        Socket socket(state_.context);
        acceptor->socket.accept(socket, error);
        if (!error) admit(acceptor->listener, std::move(socket));
      }
      acceptor->socket.close(error);
      acceptor->pause.cancel();
    }
    for (std::size_t i = state_.sessions.size(); i-- > 0;) state_.sessions[i]->drain();
    stopped_accepting_ = true;
  });
}

void Worker::cut() {
  asio::post(state_.context, [this] {
    for (std::size_t i = state_.sessions.size(); i-- > 0;) state_.sessions[i]->cut();
  });
}

void Worker::stop() {
  state_.context.stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace cistern::http
