// libcurl's multi interface on Asio: one thread, one io_context, sockets watched by Asio and handed to curl_multi_socket_action. Every call
// of libcurl happens on this thread, and none that changes the multi handle happens inside one of libcurl's callbacks.
#pragma once

#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <curl/curl.h>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

namespace cistern::upstream {

class Loop {
 public:
  // What runs on the loop. Called on its thread.
  class Job {
   public:
    virtual ~Job() = default;
    // libcurl is done with it; the handle has been removed.
    virtual void finished(CURLcode code) = 0;
    // The loop has been stopped; the handle has been removed.
    virtual void stopped() = 0;
    // After touch(): hand over what has been gathered.
    virtual void deliver() = 0;
  };

  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  // Ends every transfer without a word to it. Not from the loop's own thread.
  ~Loop();

  // From any thread.
  template <class Function>
  void post(Function&& function) {
    boost::asio::post(context_, std::forward<Function>(function));
  }

  // From any thread: ends every transfer, and lets none begin.
  void stop();

  // The rest: on the loop's thread, outside libcurl's callbacks unless it says otherwise.
  boost::asio::io_context& context() { return context_; }
  // For TLS sessions, which each easy handle would otherwise keep to itself.
  CURLSH* share() { return share_; }
  bool is_stopped() const { return refusing_; }
  bool add(CURL* easy, std::shared_ptr<Job> job);
  void remove(CURL* easy);
  // Calls the job's deliver() as soon as the loop has nothing else ready to do, and within a millisecond if it always has: bytes that
  // arrive one after the other become one hop between threads, and the first byte does not wait. Also from callbacks.
  void touch(std::shared_ptr<Job> job);

 private:
  struct Watch;

  static int on_socket(CURL* easy, curl_socket_t socket, int wanted, void* self, void* watch);
  static int on_timer(CURLM* multi, long milliseconds, void* self);
  void run();
  void end_jobs();
  void deliver();
  void arm(const std::shared_ptr<Watch>& watch);
  void ready(const std::shared_ptr<Watch>& watch, int events);
  void act(curl_socket_t socket, int events);
  void set_timer(long milliseconds);
  void forget(curl_socket_t socket);

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  boost::asio::steady_timer timer_{context_};
  CURLM* multi_ = nullptr;
  CURLSH* share_ = nullptr;
  std::unordered_map<curl_socket_t, std::shared_ptr<Watch>> watches_;
  std::unordered_map<CURL*, std::shared_ptr<Job>> jobs_;
  std::vector<std::shared_ptr<Job>> touched_;
  std::chrono::steady_clock::time_point touched_since_;
  bool refusing_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace cistern::upstream
