// One thread of a server: its io_context, its acceptor for each listener, its connections, and the sweep over them.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "http/listener.hpp"
#include "http/thread_state.hpp"

namespace cistern::http {

class Worker {
 public:
  // `descriptors`: one listening socket for each listener, taken over.
  Worker(const ServerOptions& options, std::atomic<std::size_t>& connections, std::span<const std::unique_ptr<Listener>> listeners,
         std::span<const int> descriptors);

  void start();
  // Accepts what has already reached the kernel, then no more; closes idle connections. Returns at once; has_stopped_accepting
  // says when it is done.
  void drain();
  bool has_stopped_accepting() const { return stopped_accepting_; }
  // Closes every connection.
  void cut();
  // Ends the thread, whatever is under way.
  void stop();

 private:
  using AcceptorSocket = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;
  struct Acceptor {
    const Listener& listener;
    AcceptorSocket socket;
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, asio::io_context::executor_type>
        pause;
    bool failing = false;  // has been logged
  };

  void run();
  void accept_next(Acceptor& acceptor);
  void accept_failed(Acceptor& acceptor, const boost::system::error_code& error);
  void admit(const Listener& listener, Socket socket);
  void turn_away(const Listener& listener, Socket& socket);
  void schedule_sweep();

  ThreadState state_;
  std::chrono::milliseconds sweep_interval_;
  asio::steady_timer sweep_timer_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::atomic<bool> stopped_accepting_ = false;
  std::thread thread_;
};

}  // namespace cistern::http
