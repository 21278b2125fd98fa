// Opening the store on disk: loading the index, or making it anew from the files, and bringing both in line after an unclean end.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "cache-agent/store/disk_store.hpp"

namespace cistern::store {
namespace {

// Sequences are (session << 32) + counter, so that those of a session are above all that earlier ones wrote, also where the index does not
// know them.
constexpr unsigned kEpochShift = 32;
constexpr auto kProgressInterval = std::chrono::seconds(5);

}  // namespace

Result<std::unique_ptr<Store>> open_disk_store(const DiskOptions& options, const Clock& clock) {
  auto opened = DiskStore::open(options, clock, make_disk());
  if (!opened) return fail(std::move(opened.error()));
  return std::unique_ptr<Store>(std::move(*opened));
}

Result<std::unique_ptr<DiskStore>> DiskStore::open(const DiskOptions& options, const Clock& clock, std::shared_ptr<Disk> disk) {
  auto folder = StoreFolder::open(options.path);
  if (!folder) return fail(std::move(folder.error()));
  std::unique_ptr<DiskStore> store(new DiskStore(options, clock, std::move(disk), std::move(*folder)));
  if (auto loaded = store->load(); !loaded) return fail(loaded.error().in("open the store"));
  return store;
}

Result<void> DiskStore::load() {
  const std::string path = folder_.index();
  IndexDb::State state;
  for (int attempt = 0;; ++attempt) {
    Result<void> damage;
    auto db = IndexDb::open(path);
    if (db) {
      db_ = std::move(*db);
      index_ = std::make_unique<Index>(db_.get(), clock_);
      if (const auto loaded = db_->load(*index_)) {
        state = *loaded;
        // One that was being rebuilt is begun again; an empty one is new.
        if (state.complete || index_->totals().blobs == 0) break;
        damage = fail(ErrorCode::kCorrupt, "{}: its rebuilding was interrupted", path);
      } else {
        damage = fail(loaded.error());
      }
    } else {
      damage = fail(std::move(db.error()));
    }
    if (damage.error().code != ErrorCode::kCorrupt || attempt > 0) return damage;
    spdlog::warn("store: {}; the index is made anew from the files", damage.error().message);
    index_.reset();
    db_.reset();
    IndexDb::remove(path);
  }

  const std::uint64_t epoch = state.epoch + 1;
  first_sequence_ = epoch << kEpochShift;
  last_sequence_ = first_sequence_;
  if (auto started = db_->start(epoch, state.complete); !started) return started;
  if (!state.complete) return rebuild();
  ready_ = true;
  if (!state.clean) {
    spdlog::info("store: the last session did not end cleanly; its files are compared with the index while it serves");
    reconciling_ = true;
    reconciler_ = std::thread(&DiskStore::reconcile_all, this);
  }
  return {};
}

Result<void> DiskStore::rebuild() {
  auto logged = std::chrono::steady_clock::now();
  std::uint64_t files = 0;
  Displaced displaced;
  for (unsigned folder = 0; folder < BlobFiles::kFolders; ++folder) {
    const auto digests = files_.list(folder);
    if (!digests) return fail(digests.error());
    for (const Digest& digest : *digests) {
      const auto lock = lock_folder(digest);
      if (auto found = reconcile_locked(digest)) {
        displaced.insert(displaced.end(), std::make_move_iterator(found->begin()), std::make_move_iterator(found->end()));
      } else {
        spdlog::warn("store: left out of the index: {}", found.error().message);
        trouble_ = true;
      }
      ++files;
      if (const auto now = std::chrono::steady_clock::now(); now - logged >= kProgressInterval) {
        spdlog::info("store: making the index from the files: {} files, {}%", files, folder * 100 / BlobFiles::kFolders);
        logged = now;
      }
    }
  }
  settle(std::move(displaced));
  // No session of the lost index can have had a higher number than this one has now.
  const std::uint64_t epoch = (last_sequence_ >> kEpochShift) + 1;
  first_sequence_ = epoch << kEpochShift;
  last_sequence_ = first_sequence_;
  if (auto completed = db_->set_complete(epoch); !completed) return completed;
  ready_ = true;
  if (files > 0) spdlog::info("store: the index has been made from {} files", files);
  return {};
}

void DiskStore::reconcile_all() {
  bool all = true;
  for (unsigned folder = 0; folder < BlobFiles::kFolders && !stopping_; ++folder) all = reconcile_folder(folder) && all;
  if (stopping_) return;
  for (const Digest& digest : index_->unseen()) {
    const auto lock = lock_folder(digest);
    const auto size = disk_->size_at(files_.path_of(digest));
    if (!size && size.error().code == ErrorCode::kNotFound) static_cast<void>(drop_blob_locked(digest));
  }
  if (!all) trouble_ = true;
  {
    const std::lock_guard lock(reconciling_mutex_);
    reconciling_ = false;
    erased_.clear();
  }
  reconciled_.notify_all();
  spdlog::info("store: files and index agree");
}

// Looks at each file's name and size; only those that the index does not know, or knows with another size, are read.
bool DiskStore::reconcile_folder(unsigned folder) {
  const auto digests = files_.list(folder);
  if (!digests) {
    spdlog::warn("store: {}", digests.error().message);
    return false;
  }
  bool all = true;
  for (const Digest& digest : *digests) {
    if (stopping_) return false;
    const auto blob = index_->blob(digest);
    const auto size = blob ? disk_->size_at(files_.path_of(digest)) : Result<std::uint64_t>(0);
    if (blob && size && *size == blob->file_size) {
      index_->mark_seen(digest);
      continue;
    }
    const std::lock_guard settling(settling_mutex_);
    Displaced displaced;
    {
      const auto lock = lock_folder(digest);
      auto found = reconcile_locked(digest);
      if (!found) {
        spdlog::warn("store: {}", found.error().message);
        all = false;
        continue;
      }
      displaced = std::move(*found);
    }
    settle(std::move(displaced));
  }
  return all;
}

Result<DiskStore::Displaced> DiskStore::reconcile_locked(const Digest& digest) {
  auto contents = files_.read(digest);
  if (!contents && contents.error().code == ErrorCode::kCorrupt) {
    spdlog::warn("store: {}; dropped", contents.error().message);
    static_cast<void>(drop_blob_locked(digest));
    return Displaced{};
  }
  if (!contents && contents.error().code == ErrorCode::kNotFound) {
    static_cast<void>(drop_blob_locked(digest));
    return Displaced{};
  }
  if (!contents) return fail(std::move(contents.error()));

  const RecordRegion& records = contents->records;
  if (records.damaged) spdlog::warn("store: a record of {} is damaged; the keys in it are lost", digest.oci());
  const std::uint64_t file_size = contents->content_length + records.length;
  if (file_size != contents->file_size) {
    if (auto cut = files_.cut(digest, file_size); !cut) return fail(std::move(cut.error()));
  }
  // No one may write a lower sequence from here on.
  std::uint64_t last = last_sequence_;
  while (last < records.last_sequence && !last_sequence_.compare_exchange_weak(last, records.last_sequence)) {
  }
  if (records.live.empty()) {
    static_cast<void>(drop_blob_locked(digest));
    return Displaced{};
  }
  const auto known = index_->blob(digest);
  if (known && known->size != contents->content_length) index_->remove_blob(digest);
  Displaced displaced = index_->replace(digest, {contents->content_length, file_size}, records.live);

  const std::lock_guard lock(reconciling_mutex_);
  for (const RecordEntry& entry : records.live) {
    const bool erased = entry.sequence <= first_sequence_ && erased_.contains(entry.record.key);
    if (erased && index_->remove_key(entry.record.key, digest)) displaced.push_back({digest, entry.record.key});
  }
  return displaced;
}

}  // namespace cistern::store
