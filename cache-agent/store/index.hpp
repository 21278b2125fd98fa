// The index in memory: which keys there are, which blobs they name, and in which order blobs were last used. 152 bytes an object with one
// key.
//
// The texts of keys are not here (a key is its KeyHash); they live in the index's database and in the blob files' records. Every change is
// told to a listener, under the lock and therefore in order; the database follows from that (index_db.hpp).
//
// Thread-safe; every function takes one short lock and does no I/O.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "cache-agent/store/blob_record.hpp"
#include "cache-agent/store/flat_table.hpp"
#include "cache-agent/store/key_hash.hpp"
#include "cache-agent/store/store.hpp"

namespace cistern::store {

// Rows of the index, as the listener and the loader see them. `id` is the number of the row's element in memory.
struct BlobRow {
  std::uint32_t id = 0;
  Digest digest;
  std::uint64_t size = 0;
  std::uint64_t file_size = 0;  // with the records. 0: the file's records and this index may disagree; look again after a crash
  std::uint32_t used = 0;       // when it was last used, roughly; seconds since 1970
};
struct MetaRow {
  std::uint32_t id = 0;
  Meta meta;
};
struct KeyRow {
  std::uint32_t id = 0;
  std::string key;
  std::uint32_t blob = 0;
  Digest digest;  // the blob's
  std::uint32_t meta = 0;
  std::uint32_t fetched = 0;
  std::uint64_t sequence = 0;
};

// Told of every change, under the index's lock: it must only note it.
class IndexListener {
 public:
  virtual ~IndexListener() = default;
  virtual void put_blob(const BlobRow& row) = 0;
  virtual void drop_blob(std::uint32_t id) = 0;
  virtual void put_meta(const MetaRow& row) = 0;
  virtual void drop_meta(std::uint32_t id) = 0;
  virtual void put_key(KeyRow row) = 0;
  virtual void drop_key(std::uint32_t id) = 0;
  virtual void set_fetched(std::uint32_t key, std::uint32_t fetched) = 0;
  virtual void set_used(std::uint32_t blob, std::uint32_t used) = 0;
};

class Index {
 public:
  struct Blob {
    std::uint64_t size = 0;
    std::uint64_t file_size = 0;
  };
  // A key that does not name this blob any more, though the blob's file says so: another blob has a newer record of it.
  struct Displaced {
    Digest digest;
    std::string key;
  };
  struct Totals {
    std::uint64_t bytes = 0;  // of files
    std::uint64_t keys = 0;
    std::uint64_t blobs = 0;
  };

  // Without a listener nothing is told. `clock` dates uses. Both outlive the index.
  Index(IndexListener* listener, const Clock& clock) : listener_(listener), clock_(clock) {}

  // Notes the use.
  std::optional<Entry> find(std::string_view key);
  // The blob a key names; no use is noted.
  std::optional<Digest> blob_of(std::string_view key) const;
  std::optional<Blob> blob(const Digest& digest) const;
  bool has_keys(const Digest& digest) const;
  // Whether the key names this very blob with this very meta, so that committing it again changes only `fetched`.
  bool names(std::string_view key, const Digest& digest, const Meta& meta) const;

  // Adds the blob, or sets its file's size, and lets the keys name it, but those for which there is a newer sequence. Gives what was
  // displaced: keys of other blobs, or those of this one that were too old.
  std::vector<Displaced> insert(const Digest& digest, Blob blob, std::span<const RecordEntry> keys);
  // As insert(), and drops the blob's keys that are not among `keys`: what its file says is all there is.
  std::vector<Displaced> replace(const Digest& digest, Blob blob, std::span<const RecordEntry> keys);
  void set_file_size(const Digest& digest, std::uint64_t file_size);
  void touch(std::string_view key, WallTime fetched);
  // True if the key was there and named that blob. The blob's file still says that it does: until set_file_size() the listener's row says
  // so.
  bool remove_key(std::string_view key, const Digest& digest);
  // With the keys that name it. True if it was there.
  bool remove_blob(const Digest& digest);

  // The least recently used blobs, oldest first, until their files make up `bytes` or they are `count`.
  std::vector<Digest> oldest(std::uint64_t bytes, std::size_t count) const;
  Totals totals() const;
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // Loading, before anything else: blobs, then metas, then keys. False for a row that can not be. Nothing is told to the listener.
  bool load_blob(const BlobRow& row);
  bool load_meta(MetaRow row);
  bool load_key(const KeyRow& row);
  // The digest of a blob that was loaded.
  const Digest* loaded_blob(std::uint32_t id) const;
  void finish_loading();

  // Reconciling with the files: marks blobs as seen; those inserted meanwhile count as seen.
  void mark_seen(const Digest& digest);
  std::vector<Digest> unseen() const;

 private:
  struct BlobNode {
    Digest digest;
    std::uint64_t size = 0;
    std::uint64_t file_size = 0;
    std::uint32_t used = 0;
    std::uint32_t first_key = kNone;
    std::uint32_t newer = kNone;  // list by use
    std::uint32_t older = kNone;
    bool there = false;
    bool seen = false;
  };
  struct KeyNode {
    KeyHash hash;
    std::uint64_t sequence = 0;
    std::uint32_t blob = kNone;  // kNone: a free place
    std::uint32_t meta = kNone;
    std::uint32_t fetched = 0;
    std::uint32_t next = kNone;  // of the same blob
  };
  struct MetaNode {
    std::shared_ptr<const Meta> meta;
    std::uint64_t uses = 0;
  };
  struct MetaLess {
    bool operator()(const Meta& a, const Meta& b) const {
      return std::tie(a.content_type, a.headers) < std::tie(b.content_type, b.headers);
    }
  };

  std::uint32_t find_key(const KeyHash& hash) const;
  std::uint32_t find_blob(const Digest& digest) const;
  std::uint32_t put_blob(const Digest& digest, Blob blob);
  void put_key(std::uint32_t blob, const RecordEntry& entry, const KeyHash& hash, std::vector<Displaced>& displaced);
  void drop_key(std::uint32_t id);
  void drop_blob(std::uint32_t id);
  void tell_unsettled(std::uint32_t blob);
  void unchain(std::uint32_t key);
  std::uint32_t use_meta(const Meta& meta);
  void release_meta(std::uint32_t id);
  void link_newest(std::uint32_t blob);
  void unlink_use(std::uint32_t blob);
  BlobRow row_of(std::uint32_t id) const;
  std::uint32_t now() const;

  IndexListener* const listener_;
  const Clock& clock_;
  const KeyHasher hasher_;
  mutable std::mutex mutex_;
  Pool<BlobNode> blobs_;
  Pool<KeyNode> keys_;
  Pool<MetaNode> metas_;
  FlatTable blob_table_;
  FlatTable key_table_;
  std::map<Meta, std::uint32_t, MetaLess> meta_ids_;
  std::uint32_t newest_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace cistern::store
