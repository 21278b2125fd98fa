// What is kept: content-addressed blobs, and keys that name them.
//
//   key  ──►  Entry {digest, size, meta}  ──►  blob (the bytes, once, however many keys name it)
//
// A key is also a right: who is to read a blob through another repository, listener or view does so by another key, and only if that key
// is there. Keys are text, chosen by the ecosystems; the store does not look into them.
//
// The invariant (architecture, rule 5): *durable or absent*. A blob that find() gives is whole, its bytes have the digest that names it,
// and after kill -9 or power loss it is there again or gone, never half there. So a commit is: temporary file → fsync → rename → fsync of
// the folder → index. Each blob file ends in checksummed records (keys, meta, length), so that an index that is damaged, lost or behind is
// rebuilt from the files; a right that is not recorded is absent.
//
// Every function may be called from any thread. find() and touch() take a short lock and do no I/O; open() may open a file; all others
// block on the disk and belong on a pool. The conformance suite (tests/conformance/store) is passed by both implementations.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/content.hpp"
#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/units.hpp"

namespace cistern::store {

// What is given back with the bytes. Shared between entries with the same values.
struct Meta {
  std::string content_type;
  // Further header lines to give back, as "Name: value\n" each; mostly empty.
  std::string headers;
  bool operator==(const Meta&) const = default;
};

struct Entry {
  Digest digest;
  std::uint64_t size = 0;
  WallTime fetched;  // when the origin last vouched for it
  std::shared_ptr<const Meta> meta;
};

// One key and what goes with it, as it is committed.
struct KeyRecord {
  std::string key;
  Meta meta;
  WallTime fetched;
};

// A blob on its way in. One thread at a time; destroying it without commit() leaves nothing behind and frees what it reserved.
class Writer {
 public:
  virtual ~Writer() = default;
  // Appends, and hashes what it appends. kNoSpace when the disk or the quota is full (after eviction has been tried): what was appended
  // before stays readable through file(), and nothing more can be appended or committed.
  virtual Result<void> append(std::span<const std::byte> bytes) = 0;
  virtual std::uint64_t size() const = 0;
  // Of all bytes so far.
  virtual Digest digest() const = 0;
  // For those who follow: bytes below size() can be read from here, also after commit and after eviction.
  virtual std::shared_ptr<const File> file() const = 0;
  // Makes it durable under these keys, visible to find() when it returns. A blob that is there already gets the keys. On an
  // error nothing is visible. After that the writer is only good for file() and size().
  virtual Result<void> commit(std::vector<KeyRecord> keys) = 0;
};

struct Stats {
  std::uint64_t bytes = 0;    // of blobs, with their records
  std::uint64_t objects = 0;  // keys
  std::uint64_t blobs = 0;
  std::uint64_t evictions = 0;  // blobs, since the start
  std::uint64_t reserved = 0;   // bytes promised to writers
};

class Store {
 public:
  virtual ~Store() = default;

  // Notes the use (for eviction). No I/O.
  virtual std::optional<Entry> find(std::string_view key) = 0;
  // The bytes of an entry. kNotFound if it has been evicted, or is damaged (then it is dropped): a miss, not a failure.
  virtual Result<Slice> open(const Entry& entry) = 0;
  // Whether the bytes of this digest are here, under whatever key, and how many. It grants no right: see link().
  virtual std::optional<std::uint64_t> has_blob(const Digest& digest) = 0;

  // Space is reserved before a write: `expected` bytes, or in steps as they come where the size is not known. kNoSpace if eviction can not
  // make room.
  virtual Result<std::unique_ptr<Writer>> begin(std::optional<std::uint64_t> expected) = 0;
  // Scratch space for something that will not be kept (an unpacked archive): held until the handle is destroyed.
  virtual Result<std::shared_ptr<void>> reserve(std::uint64_t bytes) = 0;
  // Small bodies at hand (mutable answers, descriptors): begin, append and commit in one.
  Result<void> put(std::string_view body, KeyRecord key);

  // One more key for a blob that is there; durable when it returns. kNotFound if the blob is gone.
  virtual Result<void> link(const Digest& digest, KeyRecord key) = 0;
  // The origin has vouched for it again. Kept in memory at once and in the index soon; lost in a crash without harm.
  virtual void touch(std::string_view key, WallTime fetched) = 0;
  virtual void erase(std::string_view key) = 0;
  // Drops every key that matches the glob ('*' crosses '/'); gives their number.
  virtual Result<std::uint64_t> purge(std::string_view glob) = 0;

  virtual Stats stats() const = 0;
  // Waits until everything committed or touched so far is in the index; called on a clean shutdown.
  virtual void flush() = 0;
};

struct DiskOptions {
  std::filesystem::path path;
  Bytes size = gib(20);
  unsigned min_free_percent = 15;
  Bytes memory = mib(64);  // bodies up to 16 KiB, most recently used
};

// Opens (or makes) the folder's store, takes its lock, removes leftovers of unfinished writes and loads the index; a damaged
// index is rebuilt, which is logged with progress. Errors say what to do: not writable, in use by process N, too little space, another
// format version.
Result<std::unique_ptr<Store>> open_disk_store(const DiskOptions& options, const Clock& clock);

// For tests, and for folders that can not be written: nothing survives the process.
std::unique_ptr<Store> make_memory_store(Bytes size, const Clock& clock);

// What a full check found. Reads every blob; `progress` (may be empty) is called with bytes done and bytes in all.
struct CheckReport {
  std::uint64_t blobs = 0, bytes = 0, keys = 0;
  std::vector<std::string> problems;  // one line each; empty: the store is sound
};
Result<CheckReport> check_disk_store(const std::filesystem::path& path, const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace cistern::store
