// Session's way out: heads, memory, files, and bodies that are still arriving.
#include <spdlog/spdlog.h>

#include <algorithm>

#include <boost/asio/post.hpp>

#include "http/listener.hpp"
#include "http/session.hpp"

namespace cistern::http {

namespace {

// What one call may take from a file; then the thread's other connections have their turn.
constexpr std::uint64_t kFileChunk = 1 << 20;

}  // namespace

void Session::start_head(const Response& response, const std::optional<std::uint64_t>& content_length, bool chunked) {
  Framing framing;
  framing.content_length = content_length;
  framing.chunked = chunked;
  if (!keep_alive_) {
    framing.connection = "close";
  } else if (request_.version == 10) {
    framing.connection = "keep-alive";
  }
  head_.clear();
  append_head(head_, response, framing, state_.date);
}

bool Session::has_no_body(const Response& response) const {
  return request_.method == Method::kHead || response.status == 204 || response.status == 304;
}

bool Session::is_at_hand(const Response& response) {
  if (std::holds_alternative<std::monostate>(response.body.content)) return true;
  const auto* slice = std::get_if<Slice>(&response.body.content);
  return slice != nullptr && std::holds_alternative<MemorySlice>(*slice);
}

Pieces Session::compose(const Response& response) {
  Pieces pieces;
  if (has_no_body(response)) {
    std::optional<std::uint64_t> length = response.body.length;
    if (response.status == 204 || response.status == 304) length.reset();
    start_head(response, length, request_.method == Method::kHead && !response.body.length && request_.version == 11);
    pieces.add(head_, false);
    return pieces;
  }
  const auto* slice = std::get_if<Slice>(&response.body.content);
  start_head(response, slice == nullptr ? 0 : size_of(*slice), false);
  pieces.add(head_, false);
  if (slice != nullptr) pieces.add(std::get<MemorySlice>(*slice).bytes, true);
  return pieces;
}

Awaitable<bool> Session::send(Response& response) {
  bool sent = false;
  if (is_at_hand(response) || has_no_body(response)) {
    Pieces pieces = compose(response);
    sent = co_await write(pieces, false);
  } else if (auto* source = std::get_if<std::unique_ptr<BodySource>>(&response.body.content)) {
    sent = co_await send_source(response, std::move(*source));
  } else {
    const auto& slice = std::get<Slice>(response.body.content);
    start_head(response, size_of(slice), false);
    sent = co_await send_slice(slice);
  }
  co_return sent;
}

// head_, then the slice, with as few system calls as there can be.
Awaitable<bool> Session::send_slice(const Slice& slice) {
  Pieces pieces;
  pieces.add(head_, false);
  if (const auto* memory = std::get_if<MemorySlice>(&slice)) {
    pieces.add(memory->bytes, true);
    const bool sent = co_await write(pieces, false);
    co_return sent;
  }
  const auto& file = std::get<FileSlice>(slice);
  const bool head_sent = co_await write(pieces, file.length > 0);
  if (!head_sent) co_return false;
  const bool sent = co_await send_file(file);
  co_return sent;
}

Awaitable<bool> Session::send_file(const FileSlice& slice) {
  std::uint64_t offset = slice.offset;
  std::uint64_t left = slice.length;
  std::uint64_t since_pause = 0;
  while (left > 0) {
    const IoResult result = stream_.send_file(slice.file->descriptor(), offset, std::min(left, kFileChunk));
    if (result.state == IoState::kClosed) co_return false;
    if (result.state == IoState::kDone) {
      if (result.bytes == 0) {
        spdlog::error("{}: a stored file ends {} bytes early", request_.target, left);
        co_return false;
      }
      offset += result.bytes;
      left -= result.bytes;
      body_sent_ += result.bytes;
      since_pause += result.bytes;
      if (since_pause < kFileChunk || left == 0) continue;
      since_pause = 0;
      co_await asio::post(state_.context, asio::use_awaitable);
      continue;
    }
    enter(Phase::kSending, state_.options.send_timeout);
    const bool ready = co_await wait(result.state);
    if (!ready) co_return false;
  }
  co_return true;
}

IoState Session::write_now(Pieces& pieces, bool more) {
  while (!pieces.empty()) {
    const IoResult result = stream_.write(pieces, more);
    if (result.state != IoState::kDone) return result.state;
    body_sent_ += pieces.consume(result.bytes);
  }
  return IoState::kDone;
}

Awaitable<bool> Session::write(Pieces& pieces, bool more) {
  IoState state = write_now(pieces, more);
  while (state == IoState::kWaitRead || state == IoState::kWaitWrite) {
    enter(Phase::kSending, state_.options.send_timeout);
    const bool ready = co_await wait(state);
    if (!ready) break;
    state = write_now(pieces, more);
  }
  const bool all_sent = pieces.empty();
  co_return all_sent;
}

Awaitable<Result<std::optional<Slice>>> Session::next_piece(BodySource& source) {
  waiting_for_ = &source;
  enter_unlimited(Phase::kWaitingForSource);
  Result<std::optional<Slice>> piece = std::nullopt;
  try {
    piece = co_await source.next();
  } catch (const std::exception& exception) {
    piece = fail(ErrorCode::kInternal, "{}", exception.what());
  }
  waiting_for_ = nullptr;
  enter_unlimited(Phase::kSending);
  if (gone_) co_return fail(ErrorCode::kCancelled, "the client has hung up");
  co_return piece;
}

// Nothing goes out before the first piece is there, so that a source which fails at once becomes a status instead of a broken body.
Awaitable<bool> Session::send_source(Response& response, std::unique_ptr<BodySource> source) {
  const std::optional<std::uint64_t> length = response.body.length;
  const bool chunked = !length && request_.version == 11;
  if (!length && !chunked) keep_alive_ = false;
  std::uint64_t left = length.value_or(UINT64_MAX);
  bool started = false;
  const auto start = [&] {
    start_head(response, length, chunked);
    started = true;
    reset_ = !length && !chunked;  // until the end is known to be reached
  };
  while (left > 0) {
    const Result<std::optional<Slice>> piece = co_await next_piece(*source);
    if (!piece && !started && piece.error().code != ErrorCode::kCancelled) {
      const Annotation annotation{response.annotation.ecosystem, "error"};
      response = Response::of(piece.error());
      response.annotation = annotation;
      source.reset();
      const bool sent = co_await send(response);
      co_return sent;
    }
    if (!piece) {
      if (piece.error().code != ErrorCode::kCancelled) spdlog::warn("{}: cut short: {}", request_.target, piece.error().message);
      co_return false;
    }
    if (!*piece) break;
    const std::uint64_t size = size_of(**piece);
    if (size == 0) continue;
    if (size > left) {
      spdlog::error("{}: cut short: the body is longer than the {} bytes announced", request_.target, *length);
      co_return false;
    }
    if (!started) start();
    if (chunked) head_.append(fmt::format("{:x}\r\n", size));
    const bool sent = co_await send_slice(**piece);
    if (!sent) co_return false;
    head_.assign(chunked ? "\r\n" : "");
    if (length) left -= size;
  }
  if (length && left > 0) {
    spdlog::error("{}: cut short: {} bytes of the {} announced are missing", request_.target, left, *length);
    co_return false;
  }
  if (!started) start();
  if (chunked) head_.append("0\r\n\r\n");
  reset_ = false;
  Pieces pieces;
  pieces.add(head_, false);
  const bool sent = co_await write(pieces, false);
  co_return sent;
}

}  // namespace cistern::http
