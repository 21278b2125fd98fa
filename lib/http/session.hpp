// One connection: reads requests, asks the handler, sends responses, until either side has had enough.
//
// Everything happens on the thread that accepted the connection. Time limits cost nothing on the way of a request: a phase notes by when
// it must be over, and the thread's sweep (Worker) looks at all of them twice a second.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "http/parser.hpp"
#include "http/stream.hpp"
#include "http/thread_state.hpp"

namespace cistern::http {

struct Listener;

class Session {
 public:
  // Registers itself with the thread's state, until it is destroyed.
  Session(ThreadState& state, const Listener& listener, Stream stream, std::string remote);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // The whole life of the connection; spawned.
  static Awaitable<> run(std::unique_ptr<Session> self);

  // Ends what has taken too long, and tells a waiting body source that its client has hung up.
  void sweep(SteadyTime now);
  // Closes the connection if it is idle; otherwise the response under way is the last one.
  void drain();
  // Closes it, whatever it does.
  void cut();

 private:
  friend struct ThreadState;  // knows the place in its list

  enum class Phase { kHandshake, kIdle, kHeader, kHandling, kSending, kWaitingForSource, kLingering };

  Awaitable<bool> shake_hands();
  Awaitable<> serve();
  // More bytes; none when the connection is over or a time limit has passed.
  Awaitable<std::size_t> read_some(std::span<char> room);
  // The same into the input buffer; false for none.
  Awaitable<bool> read_more();
  Awaitable<bool> read_body(std::uint64_t length, bool expects_continue);
  // One request with its response; whether another may follow.
  Awaitable<bool> exchange(ParsedHead head);
  // The response to something that is not a request we take.
  Awaitable<> refuse(unsigned status, const char* reason);
  // These return whether everything was sent. compose and write_now send what is at hand without a coroutine: the path of a small hit.
  static bool is_at_hand(const Response& response);
  Pieces compose(const Response& response);
  Awaitable<bool> send(Response& response);
  Awaitable<bool> send_source(Response& response, std::unique_ptr<BodySource> source);
  Awaitable<bool> send_slice(const Slice& slice);
  Awaitable<bool> send_file(const FileSlice& slice);
  Awaitable<bool> write(Pieces& pieces, bool more);
  Awaitable<Result<std::optional<Slice>>> next_piece(BodySource& source);
  Awaitable<bool> wait(IoState what);
  // Says that all has been said. Where the client may still be sending, reads that, since closing would otherwise destroy the
  // response on its way (RFC 9112 §9.6).
  Awaitable<> finish();

  // One attempt, without waiting.
  IoState write_now(Pieces& pieces, bool more);
  bool has_no_body(const Response& response) const;
  void start_head(const Response& response, const std::optional<std::uint64_t>& content_length, bool chunked);
  void report(const Request* request, const Response& response, bool complete);
  void enter(Phase phase, std::chrono::milliseconds limit);
  void enter_unlimited(Phase phase);
  void cancel();

  std::string_view input() const { return {input_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes);
  void make_room();

  ThreadState& state_;
  const Listener& listener_;
  Stream stream_;
  std::size_t index_ = 0;  // in state_.sessions

  Phase phase_ = Phase::kIdle;
  SteadyTime deadline_ = SteadyTime::max();
  bool timed_out_ = false;  // the sweep has cancelled what this phase waited for
  bool gone_ = false;       // the client has hung up, or cut() was called
  bool keep_alive_ = true;  // after the response under way
  bool finish_ = true;      // at the end: nothing is left unsaid
  bool linger_ = false;     // at the end: the client may still be sending
  bool reset_ = false;      // only a reset tells the client that the body is not whole
  BodySource* waiting_for_ = nullptr;
  std::size_t unsent_ = 0;  // in the kernel, when the sweep last looked

  // Received and not used yet: [begin_, end_) of `capacity_` bytes.
  std::unique_ptr<char[]> input_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;

  Request request_;
  std::string head_;  // what goes out before the next piece of body; kept for its memory
  SteadyTime started_;
  std::uint64_t body_sent_ = 0;
};

}  // namespace cistern::http
