// One request and its answer over libcurl, without any judgement: no credentials, redirects or retries of its own.
//
// An Exchange lives on the loop's thread and is looked at by one reader through a Hop. What passes between the two is behind a mutex: the
// head, a window of bytes, the end. Invariants:
//  - at most kWindow bytes lie in the window; with more, the write callback pauses the connection, and the reader that makes room to
//    half of it posts the way on;
//  - `easy_` exists from the start on the loop to the end or cancellation there, and is used on that thread only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <curl/curl.h>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/async.hpp"
#include "base/error.hpp"
#include "cache-agent/upstream/address.hpp"
#include "cache-agent/upstream/event.hpp"
#include "cache-agent/upstream/loop.hpp"
#include "cache-agent/upstream/upstream.hpp"

namespace cistern::upstream {

// How addresses are judged; a test may give its own.
using AddressRule = Scope (*)(const sockaddr* address);

// Everything that one request needs. Plain values.
struct HopRequest {
  std::string url;  // absolute, http or https
  Verb verb = Verb::kGet;
  http::Headers headers;
  bool bulk = false;
  std::string proxy;               // as libcurl takes it; empty: none
  Scope limit = Scope::kLoopback;  // the most private address that may be connected to; kNever: any at all
  config::Timeouts timeouts;
  std::string label;                            // who is asked, for messages: no query, no secret
  std::string counted_as;                       // name for the observer
  std::shared_ptr<const config::Upstream> tls;  // CA, client certificate, verification; null: the system's
  std::vector<std::string> resolve;             // CURLOPT_RESOLVE, for tests
  AddressRule address_rule = &scope_of;
};

class Exchange final : public Loop::Job, public std::enable_shared_from_this<Exchange> {
 public:
  static constexpr std::size_t kBlock = 256 << 10;
  static constexpr std::size_t kWindow = 512 << 10;

  Exchange(Loop& loop, Observer& observer, HopRequest request);
  ~Exchange() override;

  // On the loop's thread.
  void start();
  void abandon();
  void finished(CURLcode code) override;
  void stopped() override;
  void deliver() override;

  // By the reader.
  Awaitable<Result<void>> head_arrived();
  Awaitable<Result<std::string>> read();
  // After head_arrived() said yes.
  const Head& head() const { return head_; }
  // Of the address connected to; kPublic if a proxy was. Whether the connection had been used before.
  Scope scope() const { return scope_; }
  const Timing& timing() const { return timing_; }
  // From the request to the last byte, once read() has said that all is there.
  std::chrono::microseconds total() const { return total_; }
  // After a failure: whether a reused connection was to blame, before the first byte of an answer.
  bool stale_connection() const { return stale_connection_; }
  // After a failure: whether asking again may help.
  bool transient() const { return transient_; }

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static curl_socket_t on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int on_ready_to_send(void* self, char* remote, char* local, int remote_port, int local_port);

  void refuse_address();
  Scope scope_of_text(const char* address) const;
  bool set_options();
  void set_tls_options();
  bool set_headers();
  bool header_line(std::string_view line);
  bool head_complete();
  std::size_t body(std::string_view data);
  void append(std::string_view data);
  void resume();
  void wait_for(std::chrono::milliseconds duration);
  void timer_fired();
  bool stalled();
  void restart_idle_watch();
  void report_received();
  // The end, once; later calls are ignored. Without an error: all is there.
  void end(std::optional<Error> error);
  void close();
  Error error_of(CURLcode code) const;
  std::chrono::microseconds since_sent(CURLINFO point) const;
  void take_timing();
  std::optional<std::uint64_t> bytes_left() const;

  Loop& loop_;
  Observer& observer_;
  const HopRequest request_;
  boost::asio::steady_timer timer_;
  CURL* easy_ = nullptr;
  curl_slist* header_list_ = nullptr;
  curl_slist* resolve_list_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = {};

  // On the loop's thread only.
  enum class Phase { kConnecting, kWaiting, kBody, kEnded } phase_ = Phase::kConnecting;
  std::optional<Error> verdict_;  // our own reason to stop, in place of libcurl's
  std::size_t header_bytes_ = 0;
  std::uint64_t received_ = 0;  // body bytes, decoded
  std::uint64_t reported_ = 0;
  std::uint64_t expected_ = 0;  // bytes on the wire, where the head told
  bool length_known_ = false;
  bool paused_ = false;
  bool discarding_ = false;
  bool abandoned_ = false;
  bool touched_ = false;
  std::deque<std::uint64_t> received_at_ticks_;  // for the idle watch

  // Written on the loop's thread before the head or the end is told, then constant.
  Head head_;
  Scope scope_ = Scope::kPublic;
  bool stale_connection_ = false;
  bool transient_ = true;
  Timing timing_;
  std::chrono::microseconds total_{0};

  std::mutex mutex_;
  Event event_;
  // Under the mutex.
  std::deque<std::string> blocks_;
  std::size_t buffered_ = 0;
  bool head_ready_ = false;
  bool ended_ = false;
  bool wanted_ = false;      // the reader waits
  bool resume_due_ = false;  // paused, and nobody has posted resume() yet
  std::optional<Error> error_;
};

// The reader's end of an exchange. Destroying it, from any thread but the loop's, ends the exchange.
class Hop {
 public:
  Hop(std::shared_ptr<Loop> loop, Observer& observer, HopRequest request);
  Hop(Hop&&) noexcept = default;
  Hop& operator=(Hop&& other) noexcept;
  ~Hop() { release(); }
  Exchange* operator->() const { return exchange_.get(); }

 private:
  void release();

  std::shared_ptr<Loop> loop_;  // outlives the exchange
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace cistern::upstream
