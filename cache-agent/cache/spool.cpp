#include "cache-agent/cache/spool.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include <spdlog/spdlog.h>

namespace cistern::cache {

Spool::~Spool() = default;

bool Spool::restart() {
  std::unique_ptr<store::Writer> dropped;  // ends outside of the lock
  const std::lock_guard lock(mutex_);
  if (published_) return false;
  dropped = std::move(writer_);
  place_ = Place::kSmall;
  small_ = std::make_shared<std::string>();
  file_.reset();
  file_end_ = 0;
  window_.clear();
  window_moved_ = false;
  landed_ = 0;
  begun_ = false;
  window_hash_.reset();
  return true;
}

void Spool::begin(std::optional<std::uint64_t> length, std::shared_ptr<const store::Meta> meta, std::chrono::seconds age) {
  const std::lock_guard lock(mutex_);
  length_ = length;
  meta_ = std::move(meta);
  age_ = age;
  begun_ = true;
}

Awaitable<Result<void>> Spool::append(std::string chunk, std::chrono::milliseconds idle) {
  if (chunk.empty()) co_return Result<void>{};
  if (auto placed = place(chunk); !placed) co_return placed;
  if (place_ != Place::kWindow) co_return Result<void>{};

  // In the window: wait until readers have made room.
  std::optional<Wake> wake;
  wake.emplace(co_await asio::this_coro::executor);
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      drop_passed_chunks();
      const std::uint64_t held = window_.empty() ? 0 : landed_ - window_.front().offset;
      if (slowest() == UINT64_MAX) co_return fail(ErrorCode::kCancelled, "the disk is full and nobody reads on");
      if (held <= kWindow) {
        producer_.reset();
        co_return Result<void>{};
      }
      producer_ = wake;
    }
    if (co_await wake->wait(idle)) continue;
    const std::lock_guard lock(mutex_);
    const auto last = slowest();
    for (auto* reader : readers_) {
      if (reader->position_ == last) reader->dropped_ = true;
    }
    wake_readers();
  }
}

// Puts one chunk where it belongs and lets readers know.
Result<void> Spool::place(const std::string& chunk) {
  if (place_ == Place::kSmall && small_->size() + chunk.size() > kHeldBack) {
    auto writer = store_.begin(length_);
    if (!writer && needs_disk_) return fail(writer.error().in("scratch space is needed to verify this object"));
    auto held = writer ? (*writer)->append(std::as_bytes(std::span(*small_))) : Result<void>(fail(writer.error()));
    if (held) {
      writer_ = std::move(*writer);
      const std::lock_guard lock(mutex_);
      file_ = writer_->file();
      file_end_ = small_->size();
      place_ = Place::kFile;
    } else {
      spdlog::warn("serving without storing: {}", held.error().message);
      if (auto opened = open_window(); !opened) return opened;
    }
  }
  if (place_ == Place::kFile) {
    if (auto written = writer_->append(std::as_bytes(std::span(chunk))); !written) {
      spdlog::warn("serving without storing: {}", written.error().message);
      if (needs_disk_) return fail(Error{ErrorCode::kUnavailable, written.error().message, std::nullopt});
      if (auto opened = open_window(); !opened) return opened;
    }
  }
  const std::lock_guard lock(mutex_);
  if (place_ == Place::kSmall) {
    *small_ += chunk;
  } else if (place_ == Place::kFile) {
    file_end_ += chunk.size();
  } else {
    window_.push_back(Chunk{landed_, std::make_shared<const std::string>(chunk)});
    window_hash_->update(chunk);
  }
  landed_ += chunk.size();
  wake_readers();
  return {};
}

// From here on bytes stay in memory only. The hash goes on where the writer's ended.
Result<void> Spool::open_window() {
  window_hash_.emplace();
  if (place_ == Place::kSmall) window_hash_->update(*small_);
  std::array<std::byte, 65536> buffer;
  for (std::uint64_t at = 0; place_ == Place::kFile && at < file_end_;) {
    const auto wanted = std::min<std::uint64_t>(buffer.size(), file_end_ - at);
    const auto got = ::pread(file_->descriptor(), buffer.data(), wanted, static_cast<off_t>(at));
    if (got <= 0) return fail(system_error(got < 0 ? errno : EIO, "reading back what was written"));
    window_hash_->update(std::span(buffer).first(static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
  }
  const std::lock_guard lock(mutex_);
  if (place_ == Place::kSmall && !small_->empty()) window_.push_back(Chunk{0, small_});
  place_ = Place::kWindow;
  return {};
}

std::uint64_t Spool::size() const {
  const std::lock_guard lock(mutex_);
  return landed_;
}

std::optional<std::uint64_t> Spool::length() const {
  const std::lock_guard lock(mutex_);
  return length_;
}

Digest Spool::digest() {
  if (place_ == Place::kWindow) return window_hash_->digest();
  return place_ == Place::kFile ? writer_->digest() : Sha256::of(*small_);
}

void Spool::release() {
  const std::lock_guard lock(mutex_);
  released_ = true;
  wake_readers();
}

std::optional<Slice> Spool::whole() const {
  const std::lock_guard lock(mutex_);
  if (place_ == Place::kWindow) return std::nullopt;
  if (landed_ == 0) return Slice(MemorySlice{small_, *small_});
  return slice_at(0, landed_);
}

void Spool::complete() {
  const std::lock_guard lock(mutex_);
  complete_ = true;
  length_ = landed_;
  wake_readers();
}

void Spool::abandon(Error error) {
  const std::lock_guard lock(mutex_);
  failed_ = std::move(error);
  wake_readers();
}

Result<void> Spool::commit(store::KeyRecord record) {
  if (place_ == Place::kWindow) return {};
  if (place_ == Place::kSmall) return store_.put(*small_, std::move(record));
  std::vector<store::KeyRecord> records;
  records.push_back(std::move(record));
  return writer_->commit(std::move(records));
}

bool Spool::joinable() const {
  const std::lock_guard lock(mutex_);
  return !window_moved_ && !failed_;
}

std::unique_ptr<SpoolReader> Spool::reader(std::shared_ptr<Spool> spool, const asio::any_io_executor& executor) {
  return std::make_unique<SpoolReader>(std::move(spool), executor);
}

std::uint64_t Spool::visible() const {
  if (complete_) return landed_;
  if (!released_ || place_ == Place::kSmall) return 0;
  if (!length_) return landed_ > kHeldBack ? landed_ - kHeldBack : 0;
  return std::min(landed_, *length_ > kHeldBack ? *length_ - kHeldBack : 0);
}

Slice Spool::slice_at(std::uint64_t position, std::uint64_t length) const {
  if (place_ == Place::kSmall) return MemorySlice{small_, std::string_view(*small_).substr(position, length)};
  if (position < file_end_) return FileSlice{file_, position, std::min(length, file_end_ - position)};
  for (const auto& chunk : window_) {
    const auto end = chunk.offset + chunk.bytes->size();
    if (position >= end) continue;
    const auto from = position - chunk.offset;
    return MemorySlice{chunk.bytes, std::string_view(*chunk.bytes).substr(from, length)};
  }
  return MemorySlice{};
}

std::uint64_t Spool::slowest() const {
  std::uint64_t position = UINT64_MAX;
  for (const auto* reader : readers_) {
    if (!reader->dropped_ && !reader->cancelled_) position = std::min(position, reader->position_);
  }
  return position;
}

void Spool::drop_passed_chunks() {
  const auto passed = std::min(slowest(), visible());
  while (!window_.empty() && window_.front().offset + window_.front().bytes->size() <= passed) {
    window_.pop_front();
    window_moved_ = true;
  }
}

void Spool::wake_readers() {
  for (const auto* reader : readers_) reader->wake_.notify();
}

SpoolReader::SpoolReader(std::shared_ptr<Spool> spool, const asio::any_io_executor& executor) : spool_(std::move(spool)), wake_(executor) {
  const std::lock_guard lock(spool_->mutex_);
  spool_->readers_.push_back(this);
}

SpoolReader::~SpoolReader() {
  const std::lock_guard lock(spool_->mutex_);
  std::erase(spool_->readers_, this);
  if (spool_->producer_) spool_->producer_->notify();
}

Awaitable<Result<SpoolReader::Opened>> SpoolReader::open(ReadOptions options) {
  for (;;) {
    if (auto opened = try_open(options)) co_return std::move(*opened);
    co_await wake_.wait();
  }
}

// Empty: not yet.
std::optional<Result<SpoolReader::Opened>> SpoolReader::try_open(const ReadOptions& options) {
  Spool& spool = *spool_;
  const std::lock_guard lock(spool.mutex_);
  if (dropped_) return fail(ErrorCode::kTimeout, "the client reads too slowly for an object that can not be stored");
  if (spool.failed_) return fail(*spool.failed_);
  // Without a length, a client of HTTP/1.0 could not see that a body was cut short.
  const bool wait_for_all = !spool.begun_ || (options.whole && !spool.length_);
  if (wait_for_all && !spool.complete_) return std::nullopt;
  const auto visible = spool.visible();
  Opened opened{spool.meta_, spool.length_, std::nullopt, std::nullopt, spool.age_};
  http::ByteRange range{0, spool.length_.value_or(UINT64_MAX)};
  if (options.range && spool.length_ && (spool.released_ || spool.complete_)) {
    switch (http::resolve_range(*options.range, *spool.length_, range)) {
      case http::RangeKind::kUnsatisfiable: return fail(range_not_satisfiable(*spool.length_));
      case http::RangeKind::kSatisfiable: opened.range = range; break;
      case http::RangeKind::kNone: break;
    }
  }
  // The first byte must be there, so that a failure before it is still told by the status.
  if (!spool.complete_ && visible <= range.offset) return std::nullopt;
  if (!spool.complete_) spool.published_ = true;
  position_ = range.offset;
  end_ = opened.range ? range.offset + range.length : UINT64_MAX;
  if (spool.complete_ && spool.place_ != Spool::Place::kWindow) {
    const auto part = opened.range ? *opened.range : http::ByteRange{0, spool.landed_};
    opened.whole = part.length == 0 ? Slice(MemorySlice{}) : spool.slice_at(part.offset, part.length);
  }
  return opened;
}

Awaitable<Result<std::optional<Slice>>> SpoolReader::next() {
  Spool& spool = *spool_;
  for (;;) {
    {
      const std::lock_guard lock(spool.mutex_);
      if (cancelled_) co_return fail(ErrorCode::kCancelled, "the client has gone");
      if (dropped_) co_return fail(ErrorCode::kTimeout, "the client reads too slowly for an object that can not be stored");
      const auto end = std::min(end_, spool.complete_ ? spool.landed_ : UINT64_MAX);
      if (position_ >= end) co_return std::optional<Slice>();
      const auto visible = std::min(spool.visible(), end);
      if (position_ < visible) {
        auto slice = spool.slice_at(position_, visible - position_);
        position_ += size_of(slice);
        if (spool.producer_) spool.producer_->notify();
        co_return std::optional<Slice>(std::move(slice));
      }
      if (spool.failed_) co_return fail(*spool.failed_);
    }
    co_await wake_.wait();
  }
}

void SpoolReader::cancel() {
  {
    const std::lock_guard lock(spool_->mutex_);
    cancelled_ = true;
    if (spool_->producer_) spool_->producer_->notify();
  }
  wake_.notify();
}

}  // namespace cistern::cache
