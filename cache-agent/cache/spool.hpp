// The bytes of one fill, as they land: written by the fill, read by everyone who follows it.
//
// Where the bytes are, in the order of their offsets:
//
//   small    up to 64 KiB in all: in memory, and nothing is seen of them before the whole has been judged
//   file     beyond that: in the store's temporary file; memory per fill is what the transfer holds
//   window   where the disk is full: from the last byte that was written on, up to 1 MiB in memory. A chunk leaves when every reader has
//   passed it;
//            a reader that does not move for `idle` is dropped. Who comes after a chunk has left can not join (joinable()).
//
// What readers see: nothing before release(); then all but the last 64 KiB (of the length, or of what has landed where the length is not
// known); all of it after complete(). So nobody holds a complete object that has not been judged (architecture, rule 3).
//
// The producer's functions belong to the fill's coroutine; readers live on any executor.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/wake.hpp"
#include "cache-agent/cache/cache.hpp"

namespace cistern::cache {

class SpoolReader;

class Spool {
 public:
  static constexpr std::uint64_t kHeldBack = 64 * 1024;
  static constexpr std::uint64_t kWindow = 1024 * 1024;

  Spool(store::Store& store, bool needs_disk) : store_(store), needs_disk_(needs_disk) {}
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;
  ~Spool();

  // --- the producer ---
  // Drops what an earlier attempt left, unless a reader has been told the head: then false, and an attempt can only be continued.
  bool restart();
  // An answer's head, after restart() or as the first.
  void begin(std::optional<std::uint64_t> length, std::shared_ptr<const store::Meta> meta, std::chrono::seconds age = {});
  // May wait for readers (window). kUnavailable: scratch space is needed and there is none; kCancelled: nobody is left to read what can not
  // be stored.
  Awaitable<Result<void>> append(std::string chunk, std::chrono::milliseconds idle);
  std::uint64_t size() const;
  std::optional<std::uint64_t> length() const;
  Digest digest();
  // Whether anything may be seen before the judgement.
  void release();
  // The whole body, for a check; not in the window.
  std::optional<Slice> whole() const;
  void complete();
  void abandon(Error error);
  Result<void> commit(store::KeyRecord record);

  // --- readers ---
  bool joinable() const;
  // `executor`: the reader's. Registers it at once, so that the window waits for it.
  static std::unique_ptr<SpoolReader> reader(std::shared_ptr<Spool> spool, const asio::any_io_executor& executor);

 private:
  friend class SpoolReader;
  enum class Place { kSmall, kFile, kWindow };

  Result<void> place(const std::string& chunk);
  Result<void> open_window();
  std::uint64_t visible() const;                                       // with mutex_ held
  Slice slice_at(std::uint64_t position, std::uint64_t length) const;  // with mutex_ held
  std::uint64_t slowest() const;                                       // with mutex_ held
  void drop_passed_chunks();                                           // with mutex_ held
  void wake_readers();                                                 // with mutex_ held

  store::Store& store_;
  const bool needs_disk_;

  // The producer's alone.
  std::unique_ptr<store::Writer> writer_;
  std::optional<Sha256> window_hash_;

  mutable std::mutex mutex_;
  Place place_ = Place::kSmall;
  std::shared_ptr<std::string> small_ = std::make_shared<std::string>();
  std::shared_ptr<const File> file_;
  std::uint64_t file_end_ = 0;
  struct Chunk {
    std::uint64_t offset;
    std::shared_ptr<const std::string> bytes;
  };
  std::deque<Chunk> window_;
  bool window_moved_ = false;
  std::uint64_t landed_ = 0;
  std::optional<std::uint64_t> length_;
  std::shared_ptr<const store::Meta> meta_;
  std::chrono::seconds age_{0};
  bool begun_ = false;
  bool released_ = false;
  bool published_ = false;
  bool complete_ = false;
  std::optional<Error> failed_;
  std::vector<SpoolReader*> readers_;
  std::optional<Wake> producer_;  // set while append() waits
};

// One who follows a fill.
class SpoolReader final : public BodySource {
 public:
  SpoolReader(std::shared_ptr<Spool> spool, const asio::any_io_executor& executor);
  SpoolReader(const SpoolReader&) = delete;
  SpoolReader& operator=(const SpoolReader&) = delete;
  ~SpoolReader() override;

  struct Opened {
    std::shared_ptr<const store::Meta> meta;
    std::optional<std::uint64_t> length;   // of the whole object
    std::optional<http::ByteRange> range;  // this reader's part, where it was asked for and can be given
    std::optional<Slice> whole;            // complete and at hand: no need to follow (already cut to the range)
    std::chrono::seconds age{0};           // what it had when it came here
  };
  // Waits until the head may go out. kInvalid: range_not_satisfiable().
  Awaitable<Result<Opened>> open(ReadOptions options);
  Awaitable<Result<std::optional<Slice>>> next() override;
  void cancel() override;

 private:
  friend class Spool;
  std::optional<Result<Opened>> try_open(const ReadOptions& options);

  std::shared_ptr<Spool> spool_;
  Wake wake_;
  // With the spool's mutex held:
  std::uint64_t position_ = 0;
  std::uint64_t end_ = UINT64_MAX;
  bool dropped_ = false;
  bool cancelled_ = false;
};

}  // namespace cistern::cache
