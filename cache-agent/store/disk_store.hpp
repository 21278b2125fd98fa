// The store on disk. docs/store.md has the format and the argument why an entry is whole or absent after a crash.
//
// Locks, in the order in which they are taken:
//   1. of keys (KeyLocks): held while a key is pointed to a blob until the blob it named before says so too, and while it is erased
//   2. of one of the 256 blob folders: held while a blob's file and its entry in the index change together
//   3. inside Index, IndexDb, Space, caches: short
// find() takes only the third kind; open() tries the second, without waiting, when it finds a damaged file. Eviction takes the second, so
// it is called without it.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cache-agent/store/blob_files.hpp"
#include "cache-agent/store/disk.hpp"
#include "cache-agent/store/index.hpp"
#include "cache-agent/store/index_db.hpp"
#include "cache-agent/store/lru_cache.hpp"
#include "cache-agent/store/space.hpp"
#include "cache-agent/store/store.hpp"
#include "cache-agent/store/store_folder.hpp"

namespace cistern::store {

// Bodies up to this size are kept in memory.
inline constexpr std::uint64_t kSmallBody = 16 << 10;

class KeyLocks {
 public:
  using Held = std::vector<std::unique_lock<std::mutex>>;
  // Waits until nobody else holds any of the keys.
  Held lock(const std::vector<std::string>& keys);

 private:
  std::array<std::mutex, 1024> mutexes_;
};

class DiskStore final : public Store {
 public:
  // open_disk_store() with a disk of the caller's choice.
  static Result<std::unique_ptr<DiskStore>> open(const DiskOptions& options, const Clock& clock, std::shared_ptr<Disk> disk);
  ~DiskStore() override;

  std::optional<Entry> find(std::string_view key) override;
  Result<Slice> open(const Entry& entry) override;
  std::optional<std::uint64_t> has_blob(const Digest& digest) override;
  Result<std::unique_ptr<Writer>> begin(std::optional<std::uint64_t> expected) override;
  Result<std::shared_ptr<void>> reserve(std::uint64_t bytes) override;
  Result<void> link(const Digest& digest, KeyRecord key) override;
  void touch(std::string_view key, WallTime fetched) override;
  void erase(std::string_view key) override;
  Result<std::uint64_t> purge(std::string_view glob) override;
  Stats stats() const override;
  void flush() override;

  // After an unclean end the store serves at once, with what its index has; this waits until the files have been gone through.
  void wait_until_reconciled();

 private:
  friend class DiskWriter;
  using Displaced = std::vector<Index::Displaced>;

  DiskStore(const DiskOptions& options, const Clock& clock, std::shared_ptr<Disk> disk, StoreFolder folder);

  // Keys and blobs (disk_store.cpp). "Locked": the caller holds the lock of the blob's folder.
  std::unique_lock<std::mutex> lock_folder(const Digest& digest);
  Result<Displaced> add_keys_locked(const Digest& digest, const std::vector<KeyRecord>& keys);
  // Gives what is to be settled besides. An error: the file is still there with these keys.
  Result<Displaced> drop_keys_locked(const Digest& digest, const std::vector<std::string>& keys);
  // An error: the file is still there. It is gone from the index in any case.
  Result<void> drop_blob_locked(const Digest& digest);
  // Makes the files say what the index says: the displaced keys do not name those blobs any more.
  void settle(Displaced displaced);
  // Gives their number; an error if they may come back.
  Result<std::uint64_t> remove_keys(const std::vector<std::string>& keys);
  Result<Slice> open_file(const Entry& entry);
  void drop_damaged(const Digest& digest);
  std::vector<RecordEntry> number(const std::vector<KeyRecord>& keys);

  // Space (disk_store.cpp).
  Result<void> grow(Reservation& reservation, std::uint64_t bytes);
  // False if there is nothing left to evict.
  bool evict(std::uint64_t bytes);

  // Recovery (recovery.cpp).
  Result<void> load();
  Result<void> rebuild();
  void reconcile_all();
  bool reconcile_folder(unsigned folder);
  void finish_reconciling(bool all);
  // Makes the index say what the blob's file says.
  Result<Displaced> reconcile_locked(const Digest& digest);

  const DiskOptions options_;
  const Clock& clock_;
  const std::shared_ptr<Disk> disk_;
  const StoreFolder folder_;
  BlobFiles files_;
  const std::shared_ptr<Space> space_;
  std::unique_ptr<IndexDb> db_;
  std::unique_ptr<Index> index_;
  LruCache<std::shared_ptr<const std::string>> small_bodies_;
  LruCache<std::shared_ptr<const File>> open_files_;

  KeyLocks key_locks_;
  std::array<std::mutex, BlobFiles::kFolders> folder_mutexes_;
  std::atomic<std::uint64_t> last_sequence_{0};
  std::atomic<std::uint64_t> evictions_{0};
  std::atomic<std::uint64_t> temporaries_{0};
  std::atomic<bool> trouble_{false};  // a file could not be brought in line with the index: look at all files at the next start

  bool ready_ = false;                // opened without an error
  std::uint64_t first_sequence_ = 0;  // of this session
  std::atomic<bool> stopping_{false};
  std::thread reconciler_;
  std::mutex
      settling_mutex_;  // held by the reconciler from the reading of a file until what it displaced is settled; taken before all others
  std::mutex reconciling_mutex_;
  std::condition_variable reconciled_;
  std::atomic<bool> reconciling_{false};
  std::set<std::string, std::less<>> erased_;  // keys erased while reconciling: records from before must not bring them back
};

}  // namespace cistern::store
