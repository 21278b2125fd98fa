#include "cache-agent/store/disk_store.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <utility>

#include "cache-agent/store/disk_writer.hpp"

namespace cistern::store {
namespace {

constexpr std::uint64_t kOpenFiles = 256;
constexpr std::size_t kEvictionBatch = 64;

}  // namespace

KeyLocks::Held KeyLocks::lock(const std::vector<std::string>& keys) {
  std::set<std::size_t> places;  // in order, so that two who want several do not wait for each other
  for (const std::string& key : keys) places.insert(std::hash<std::string>{}(key) % mutexes_.size());
  Held held;
  held.reserve(places.size());
  for (const std::size_t place : places) held.emplace_back(mutexes_[place]);
  return held;
}

DiskStore::DiskStore(const DiskOptions& options, const Clock& clock, std::shared_ptr<Disk> disk, StoreFolder folder)
    : options_(options),
      clock_(clock),
      disk_(std::move(disk)),
      folder_(std::move(folder)),
      files_(*disk_, folder_.blobs()),
      space_(std::make_shared<Space>(Space::Limits{options.size, options.min_free_percent}, disk_, folder_.blobs(), clock)),
      small_bodies_(options.memory.count),
      open_files_(kOpenFiles) {}

DiskStore::~DiskStore() {
  stopping_ = true;
  if (reconciler_.joinable()) reconciler_.join();
  // A removal that is not durable could undo itself behind the back of an index that is said to be in order.
  const bool synced = files_.sync_removals().has_value();
  if (db_) db_->close(ready_ && synced && !reconciling_ && !trouble_);
}

std::unique_lock<std::mutex> DiskStore::lock_folder(const Digest& digest) {
  return std::unique_lock(folder_mutexes_[BlobFiles::folder_of(digest)]);
}

std::optional<Entry> DiskStore::find(std::string_view key) { return index_->find(key); }

std::optional<std::uint64_t> DiskStore::has_blob(const Digest& digest) {
  const auto blob = index_->blob(digest);
  return blob ? std::optional(blob->size) : std::nullopt;
}

Result<Slice> DiskStore::open(const Entry& entry) {
  if (entry.size <= kSmallBody) {
    if (auto body = small_bodies_.get(entry.digest)) {
      const std::string_view bytes = **body;
      return MemorySlice{std::move(*body), bytes};
    }
  } else if (auto file = open_files_.get(entry.digest)) {
    return FileSlice{std::move(*file), 0, entry.size};
  }
  return open_file(entry);
}

Result<Slice> DiskStore::open_file(const Entry& entry) {
  // The index first, then the file: files grow before the index knows.
  const auto blob = index_->blob(entry.digest);
  if (!blob || blob->size != entry.size) return fail(ErrorCode::kNotFound, "{} has been evicted", entry.digest.oci());
  auto file = disk_->open(files_.path_of(entry.digest), Disk::Mode::kRead);
  if (!file && file.error().code != ErrorCode::kNotFound) return fail(std::move(file.error()));
  const Result<std::uint64_t> size = file ? disk_->size(**file) : Result<std::uint64_t>(0);
  if (!size) return fail(size.error());
  if (!file || *size < std::max(blob->file_size, blob->size)) {
    drop_damaged(entry.digest);
    return fail(ErrorCode::kNotFound, "the file of {} is gone or too short", entry.digest.oci());
  }
  if (entry.size > kSmallBody) {
    open_files_.put(entry.digest, *file, 1);
    return FileSlice{std::move(*file), 0, entry.size};
  }
  std::string body(entry.size, '\0');
  const auto read = disk_->read_at(**file, 0, std::as_writable_bytes(std::span(body)));
  if (!read) return fail(read.error());
  if (*read != entry.size || Sha256::of(body) != entry.digest) {
    drop_damaged(entry.digest);
    return fail(ErrorCode::kNotFound, "the bytes of {} are damaged", entry.digest.oci());
  }
  auto owner = std::make_shared<const std::string>(std::move(body));
  small_bodies_.put(entry.digest, owner, entry.size + 160);
  const std::string_view bytes = *owner;
  return MemorySlice{std::move(owner), bytes};
}

// From open(), which must not wait: if somebody is at work on the folder, the next reader will find it again.
void DiskStore::drop_damaged(const Digest& digest) {
  const std::unique_lock lock(folder_mutexes_[BlobFiles::folder_of(digest)], std::try_to_lock);
  if (!lock) return;
  spdlog::warn("store: the file of {} is missing or damaged; dropped", digest.oci());
  static_cast<void>(drop_blob_locked(digest));
}

Result<std::unique_ptr<Writer>> DiskStore::begin(std::optional<std::uint64_t> expected) { return DiskWriter::begin(*this, expected); }

Result<std::shared_ptr<void>> DiskStore::reserve(std::uint64_t bytes) {
  auto reservation = std::make_shared<Reservation>(space_);
  if (auto grown = grow(*reservation, bytes); !grown) return fail(std::move(grown.error()));
  return std::shared_ptr<void>(std::move(reservation));
}

Result<void> DiskStore::grow(Reservation& reservation, std::uint64_t bytes) {
  for (;;) {
    const Space::Answer answer = reservation.grow(bytes, index_->bytes());
    if (answer.granted) return {};
    if (answer.missing == 0 || !evict(answer.missing)) {
      return fail(ErrorCode::kNoSpace, "no room for {} in {} (size {}, {}% kept free), nor by eviction", human({bytes}), folder_.path(),
                  to_string(options_.size), options_.min_free_percent);
    }
  }
}

bool DiskStore::evict(std::uint64_t bytes) {
  const std::vector<Digest> victims = index_->oldest(bytes, kEvictionBatch);
  for (const Digest& victim : victims) {
    const auto lock = lock_folder(victim);
    if (!index_->blob(victim)) continue;
    static_cast<void>(drop_blob_locked(victim));
    ++evictions_;
  }
  return !victims.empty();
}

std::vector<RecordEntry> DiskStore::number(const std::vector<KeyRecord>& keys) {
  std::vector<RecordEntry> entries;
  for (const KeyRecord& key : keys) entries.push_back({false, ++last_sequence_, key});
  return entries;
}

Result<DiskStore::Displaced> DiskStore::add_keys_locked(const Digest& digest, const std::vector<KeyRecord>& keys) {
  Displaced displaced;
  if (reconciling_ && !index_->blob(digest)) {  // its file may be there
    if (auto found = reconcile_locked(digest)) displaced = std::move(*found);
  }
  for (int attempt = 0;; ++attempt) {
    const auto blob = index_->blob(digest);
    if (!blob) {
      if (!displaced.empty()) trouble_ = true;
      return fail(ErrorCode::kNotFound, "{} is not in the store", digest.oci());
    }
    std::vector<KeyRecord> fresh;
    for (const KeyRecord& key : keys) {
      if (index_->names(key.key, digest, key.meta)) {
        index_->touch(key.key, key.fetched);
      } else {
        fresh.push_back(key);
      }
    }
    if (fresh.empty()) return displaced;
    const std::vector<RecordEntry> entries = number(fresh);
    const auto appended = files_.append(digest, blob->file_size, {blob->size, digest, entries});
    Displaced more;
    if (appended) {
      more = index_->insert(digest, {blob->size, *appended}, entries);
    } else {
      const ErrorCode code = appended.error().code;
      const bool mismatch = code == ErrorCode::kCorrupt || code == ErrorCode::kNotFound;  // the file is not as the index thinks
      auto reconciled = attempt == 0 && mismatch ? reconcile_locked(digest) : fail(appended.error());
      if (!reconciled) {
        trouble_ = true;  // a torn record may be there, and nobody will settle what was displaced
        return fail(std::move(reconciled.error()));
      }
      more = std::move(*reconciled);
    }
    displaced.insert(displaced.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    if (appended) return displaced;
  }
}

Result<void> DiskStore::link(const Digest& digest, KeyRecord key) {
  const auto encoded = encode_record({0, digest, {{false, 0, key}}});
  if (!encoded) return fail(encoded.error());
  Reservation reservation(space_);
  if (auto grown = grow(reservation, encoded->size()); !grown) return grown;
  const KeyLocks::Held held = key_locks_.lock({key.key});
  Result<Displaced> displaced;
  {
    const auto lock = lock_folder(digest);
    displaced = add_keys_locked(digest, {std::move(key)});
  }
  if (!displaced) return fail(std::move(displaced.error()));
  settle(std::move(*displaced));
  return {};
}

void DiskStore::settle(Displaced displaced) {
  while (!displaced.empty()) {
    std::map<Digest, std::vector<std::string>> by_blob;
    for (const Index::Displaced& one : displaced) by_blob[one.digest].push_back(one.key);
    displaced.clear();
    for (const auto& [digest, keys] : by_blob) {
      const auto lock = lock_folder(digest);
      if (!index_->blob(digest)) continue;
      if (auto more = drop_keys_locked(digest, keys)) {
        displaced.insert(displaced.end(), std::make_move_iterator(more->begin()), std::make_move_iterator(more->end()));
      }
    }
  }
}

// The index does not have these keys for the blob any more, but its file has.
Result<DiskStore::Displaced> DiskStore::drop_keys_locked(const Digest& digest, const std::vector<std::string>& keys) {
  Displaced displaced;
  std::set<std::string> gone(keys.begin(), keys.end());
  for (int attempt = 0;; ++attempt) {
    if (!index_->has_keys(digest)) break;
    std::vector<RecordEntry> entries;
    for (const std::string& key : gone) {
      if (index_->blob_of(key) != digest) entries.push_back({true, ++last_sequence_, {key, {}, {}}});
    }
    if (entries.empty()) return displaced;
    const auto blob = *index_->blob(digest);
    const auto appended = files_.append(digest, blob.file_size, {blob.size, digest, entries});
    if (appended) {
      index_->set_file_size(digest, *appended);
      return displaced;
    }
    if (attempt == 0 && appended.error().code == ErrorCode::kCorrupt) {
      // The file is not as the index thinks. What was erased is in it, and must not come back by looking there.
      std::vector<std::string> erased;
      for (const std::string& key : gone) {
        if (!index_->blob_of(key)) erased.push_back(key);
      }
      const auto found = reconcile_locked(digest);
      for (const std::string& key : erased) index_->remove_key(key, digest);
      for (const Index::Displaced& one : found.value_or(Displaced{})) {
        if (one.digest == digest) {
          gone.insert(one.key);
        } else {
          displaced.push_back(one);
        }
      }
      continue;
    }
    // What is erased must not come back: rather drop all of it.
    spdlog::warn("store: {}: {}; the blob is dropped with all its keys", digest.oci(), appended.error().message);
    break;
  }
  if (auto dropped = drop_blob_locked(digest); !dropped) return fail(std::move(dropped.error()));
  return displaced;
}

Result<void> DiskStore::drop_blob_locked(const Digest& digest) {
  // The file first: a file that the index does not know would be found again after a crash.
  auto removed = files_.remove(digest);
  if (!removed) {
    spdlog::warn("store: {}", removed.error().message);
    trouble_ = true;
  }
  const auto blob = index_->blob(digest);
  index_->remove_blob(digest);
  if (blob) space_->freed(blob->file_size);
  small_bodies_.erase(digest);
  open_files_.erase(digest);
  return removed;
}

void DiskStore::touch(std::string_view key, WallTime fetched) { index_->touch(key, fetched); }

Result<std::uint64_t> DiskStore::remove_keys(const std::vector<std::string>& keys) {
  std::map<Digest, std::vector<std::string>> by_blob;
  for (const std::string& key : keys) {
    if (const auto digest = index_->blob_of(key)) by_blob[*digest].push_back(key);
  }
  Result<std::uint64_t> count = 0;
  std::vector<std::string> moved;
  for (const auto& [digest, named] : by_blob) {
    const KeyLocks::Held held = key_locks_.lock(named);
    Result<Displaced> displaced;
    {
      const auto lock = lock_folder(digest);
      std::vector<std::string> removed;
      for (const std::string& key : named) (index_->remove_key(key, digest) ? removed : moved).push_back(key);
      if (!removed.empty()) displaced = drop_keys_locked(digest, removed);
      if (count) *count += removed.size();
    }
    if (displaced) {
      settle(std::move(*displaced));
    } else {
      count = fail(std::move(displaced.error()));
    }
  }
  if (moved.empty()) return count;
  const auto more = remove_keys(moved);
  if (!more || !count) return more ? count : more;
  return *count + *more;
}

void DiskStore::erase(std::string_view key) {
  {
    const std::lock_guard lock(reconciling_mutex_);
    if (reconciling_) erased_.emplace(key);
  }
  { const std::lock_guard lock(settling_mutex_); }
  const auto removed = remove_keys({std::string(key)});
  Result<void> done = files_.sync_removals();
  if (done) done = db_->flush(IndexDb::Wait::kDurable);
  if (done && !removed) done = fail(removed.error());
  if (!done) spdlog::warn("store: what was erased may come back after a crash: {}", done.error().message);
}

Result<std::uint64_t> DiskStore::purge(std::string_view glob) {
  wait_until_reconciled();
  if (auto flushed = db_->flush(IndexDb::Wait::kWritten); !flushed) return fail(std::move(flushed.error()));
  const auto keys = db_->keys_matching(glob);
  if (!keys) return fail(keys.error());
  auto count = remove_keys(*keys);
  if (auto synced = files_.sync_removals(); !synced) return fail(std::move(synced.error()));
  if (auto flushed = db_->flush(IndexDb::Wait::kDurable); !flushed) return fail(std::move(flushed.error()));
  return count;
}

Stats DiskStore::stats() const {
  const Index::Totals totals = index_->totals();
  return {totals.bytes, totals.keys, totals.blobs, evictions_, space_->reserved()};
}

void DiskStore::flush() {
  if (auto flushed = db_->flush(IndexDb::Wait::kWritten); !flushed) {
    spdlog::warn("store: the index could not be written: {}", flushed.error().message);
  }
}

void DiskStore::wait_until_reconciled() {
  std::unique_lock lock(reconciling_mutex_);
  reconciled_.wait(lock, [this] { return !reconciling_; });
}

}  // namespace cistern::store
