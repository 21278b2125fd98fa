#include "http/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include <boost/asio/buffer.hpp>

#include "http/listener.hpp"

namespace cistern::http {

namespace {

constexpr std::size_t kFirstBuffer = 1 << 10;  // holds the head of almost any request
constexpr std::size_t kLargestIdleBuffer = 4 << 10;
constexpr std::size_t kBodyStep = 16 << 10;
constexpr std::size_t kLargestIdleBody = 16 << 10;
constexpr std::chrono::milliseconds kLinger = std::chrono::seconds(2);
constexpr std::size_t kLingerBytes = 1 << 20;

HeadLimits limits_for(const ServerOptions& options, const Listener& listener) {
  HeadLimits limits;
  limits.max_size = options.max_header.count;
  limits.allow_body = listener.options.allow_body;
  limits.max_body = listener.options.max_body.count;
  return limits;
}

}  // namespace

void ThreadState::add(Session& session) {
  session.index_ = sessions.size();
  sessions.push_back(&session);
  ++connections;
}

void ThreadState::remove(Session& session) {
  sessions[session.index_] = sessions.back();
  sessions[session.index_]->index_ = session.index_;
  sessions.pop_back();
  --connections;
}

Session::Session(ThreadState& state, const Listener& listener, Stream stream, std::string remote)
    : state_(state), listener_(listener), stream_(std::move(stream)) {
  request_.remote = std::move(remote);
  state_.add(*this);
}

Session::~Session() { state_.remove(*this); }

Awaitable<> Session::run(std::unique_ptr<Session> self) {
  try {
    bool usable = true;
    if (self->stream_.is_tls()) usable = co_await self->shake_hands();
    if (usable) co_await self->serve();
  } catch (const std::exception& exception) {
    self->finish_ = false;
    spdlog::error("a connection from {} ended by an exception: {}", self->request_.remote, exception.what());
  }
  if (self->reset_) self->stream_.close_with_reset();
}

Awaitable<bool> Session::shake_hands() {
  enter(Phase::kHandshake, state_.options.header_timeout);
  while (true) {
    const IoResult result = stream_.handshake();
    if (result.state == IoState::kDone) co_return true;
    if (result.state == IoState::kClosed) co_return false;
    const bool ready = co_await wait(result.state);
    if (!ready) co_return false;
  }
}

Awaitable<> Session::serve() {
  const HeadLimits limits = limits_for(state_.options, listener_);
  while (true) {
    ParsedHead head = parse_head(input(), limits, request_);
    if (head.state == ParsedHead::State::kIncomplete) {
      if (input().empty()) {
        if (state_.draining && !stream_.has_input()) break;
        enter(Phase::kIdle, state_.options.idle_timeout);
      } else if (phase_ != Phase::kHeader) {
        enter(Phase::kHeader, state_.options.header_timeout);
      }
      const bool more = co_await read_more();
      if (more) continue;
      if (timed_out_ && !input().empty()) co_await refuse(408, "the request took too long to arrive");
      break;
    }
    if (head.state == ParsedHead::State::kRefused) {
      co_await refuse(head.refused_status, head.reason);
      break;
    }
    consume(head.size);
    const bool another = co_await exchange(head);
    if (!another) break;
  }
  if (finish_) co_await finish();
}

Awaitable<bool> Session::read_more() {
  make_room();
  const std::size_t got = co_await read_some({input_.get() + end_, capacity_ - end_});
  end_ += got;
  co_return got != 0;
}

Awaitable<std::size_t> Session::read_some(std::span<char> room) {
  if (!stream_.is_tls()) {
    boost::system::error_code ec;
    const std::size_t got =
        co_await stream_.socket().async_read_some(asio::buffer(room.data(), room.size()), asio::redirect_error(asio::use_awaitable, ec));
    co_return got;
  }
  while (true) {
    const IoResult result = stream_.read(room);
    if (result.state == IoState::kDone) co_return result.bytes;
    if (result.state == IoState::kClosed) co_return 0;
    const bool ready = co_await wait(result.state);
    if (!ready) co_return 0;
  }
}

Awaitable<bool> Session::read_body(std::uint64_t length, bool expects_continue) {
  if (expects_continue && input().empty()) {
    Pieces pieces;
    pieces.add("HTTP/1.1 100 Continue\r\n\r\n", false);
    const bool sent = co_await write(pieces, false);
    if (!sent) co_return false;
  }
  enter(Phase::kHeader, state_.options.header_timeout);
  std::string& body = request_.body;
  body.assign(input().substr(0, length));
  consume(body.size());
  while (body.size() < length) {
    // Memory for what has come and a little more, not for what was announced.
    const std::size_t before = body.size();
    body.resize(before + std::min<std::size_t>(length - before, kBodyStep));
    const std::size_t got = co_await read_some({body.data() + before, body.size() - before});
    body.resize(before + got);
    if (got == 0) co_return false;
  }
  co_return true;
}

Awaitable<bool> Session::exchange(ParsedHead head) {
  started_ = std::chrono::steady_clock::now();
  body_sent_ = 0;
  request_.body.clear();
  if (request_.body.capacity() > kLargestIdleBody) request_.body.shrink_to_fit();
  if (head.content_length > 0) {
    const bool whole = co_await read_body(head.content_length, head.expects_continue);
    if (!whole && timed_out_) co_await refuse(408, "the body took too long to arrive");
    if (!whole) co_return false;
  }
  enter_unlimited(Phase::kHandling);
  Response response;
  try {
    response = co_await listener_.options.handler(request_);
  } catch (const std::exception& exception) {
    spdlog::error("{} {}: {}", request_.method_text, request_.target, exception.what());
    response = Response::text(500, "internal error");
  }
  keep_alive_ = head.keep_alive && !response.close && !state_.draining;
  bool complete = false;
  if (response.status != kCancelledStatus) {
    enter_unlimited(Phase::kSending);
    if (is_at_hand(response)) {
      Pieces pieces = compose(response);
      complete = write_now(pieces, false) == IoState::kDone;
      if (!complete) complete = co_await write(pieces, false);
    } else {
      complete = co_await send(response);
    }
  }
  report(&request_, response, complete);
  finish_ = complete;
  linger_ = head.unread_body;
  co_return complete&& keep_alive_;
}

Awaitable<> Session::refuse(unsigned status, const char* reason) {
  started_ = std::chrono::steady_clock::now();
  Response response = Response::text(status, reason);
  if (status == 405) response.headers.add("Allow", "GET, HEAD");
  request_.method = Method::kOther;  // whatever was parsed so far must not leave out the body
  request_.version = 11;
  keep_alive_ = false;
  Pieces pieces = compose(response);
  finish_ = co_await write(pieces, false);
  report(nullptr, response, finish_);
  linger_ = true;
}

Awaitable<> Session::finish() {
  stream_.finish();
  if (!linger_ && input().empty()) co_return;
  enter(Phase::kLingering, kLinger);
  std::size_t seen = 0;
  boost::system::error_code ec;
  while (!ec && seen < kLingerBytes) {
    // Below TLS too: what still arrives is of no interest.
    seen += co_await stream_.socket().async_read_some(asio::buffer(state_.scratch().data(), state_.scratch().size()),
                                                      asio::redirect_error(asio::use_awaitable, ec));
  }
}

Awaitable<bool> Session::wait(IoState what) {
  boost::system::error_code ec;
  co_await stream_.socket().async_wait(what == IoState::kWaitRead ? Socket::wait_read : Socket::wait_write,
                                       asio::redirect_error(asio::use_awaitable, ec));
  co_return !ec && !timed_out_;
}

void Session::report(const Request* request, const Response& response, bool complete) {
  if (!state_.options.observer) return;
  const auto took = std::chrono::steady_clock::now() - started_;
  state_.options.observer(Exchange{request, response.status, response.annotation, body_sent_, complete,
                                   std::chrono::duration_cast<std::chrono::microseconds>(took)});
}

void Session::enter(Phase phase, std::chrono::milliseconds limit) {
  phase_ = phase;
  timed_out_ = false;
  deadline_ = std::chrono::steady_clock::now() + limit;
}

void Session::enter_unlimited(Phase phase) {
  phase_ = phase;
  timed_out_ = false;
  deadline_ = SteadyTime::max();
}

void Session::sweep(SteadyTime now) {
  if (phase_ == Phase::kWaitingForSource) {
    if (gone_ || !stream_.peer_gone()) return;
    gone_ = true;
    waiting_for_->cancel();
    return;
  }
  if (phase_ == Phase::kSending && deadline_ != SteadyTime::max()) {
    // The kernel calls a socket writable only when a third of its buffer is free; a slow client may take longer than that and still
    // be taking bytes.
    const std::size_t unsent = stream_.unsent();
    if (unsent != unsent_) deadline_ = now + state_.options.send_timeout;
    unsent_ = unsent;
  }
  if (now < deadline_) return;
  timed_out_ = true;
  deadline_ = SteadyTime::max();
  cancel();
}

void Session::drain() {
  if (phase_ == Phase::kIdle && !stream_.has_input()) cancel();
}

void Session::cut() {
  const bool tell_source = phase_ == Phase::kWaitingForSource && !gone_;
  gone_ = true;
  stream_.close();
  if (tell_source) waiting_for_->cancel();
}

void Session::cancel() {
  boost::system::error_code ignored;
  stream_.socket().cancel(ignored);
}

void Session::consume(std::size_t bytes) {
  begin_ += bytes;
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  if (capacity_ > kLargestIdleBuffer) {
    input_.reset();
    capacity_ = 0;
  }
}

void Session::make_room() {
  if (begin_ > 0) {
    std::memmove(input_.get(), input_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ < capacity_) return;
  // parse_head refuses what is as long as the limit, so the buffer never grows past it.
  const std::size_t larger = capacity_ == 0 ? kFirstBuffer : capacity_ * 4;
  auto buffer = std::make_unique<char[]>(larger);
  if (end_ > 0) std::memcpy(buffer.get(), input_.get(), end_);
  input_ = std::move(buffer);
  capacity_ = larger;
}

}  // namespace cistern::http
