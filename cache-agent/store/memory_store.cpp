// The store for tests, and for folders that can not be written: the same rules as on disk, without the disk.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "cache-agent/store/index.hpp"
#include "cache-agent/store/key_glob.hpp"
#include "cache-agent/store/space.hpp"
#include "cache-agent/store/store.hpp"

namespace cistern::store {
namespace {

constexpr std::uint64_t kSmallBody = 64 << 10;

class MemoryStore final : public Store {
 public:
  MemoryStore(Bytes size, const Clock& clock)
      : index_(nullptr, clock), space_(std::make_shared<Space>(Space::Limits{size, 0}, nullptr, "", clock)) {}

  std::optional<Entry> find(std::string_view key) override { return index_.find(key); }
  Result<Slice> open(const Entry& entry) override {
    const std::lock_guard lock(mutex_);
    const auto found = bodies_.find(entry.digest);
    if (found == bodies_.end()) return fail(ErrorCode::kNotFound, "{} has been evicted", entry.digest.oci());
    return found->second;
  }
  std::optional<std::uint64_t> has_blob(const Digest& digest) override {
    const auto blob = index_.blob(digest);
    return blob ? std::optional(blob->size) : std::nullopt;
  }
  Result<std::unique_ptr<Writer>> begin(std::optional<std::uint64_t> expected) override;
  Result<std::shared_ptr<void>> reserve(std::uint64_t bytes) override {
    auto reservation = std::make_shared<Reservation>(space_);
    if (auto grown = grow(*reservation, bytes); !grown) return fail(std::move(grown.error()));
    return std::shared_ptr<void>(std::move(reservation));
  }
  Result<void> link(const Digest& digest, KeyRecord key) override {
    const std::lock_guard lock(mutex_);
    const auto blob = index_.blob(digest);
    if (!blob) return fail(ErrorCode::kNotFound, "{} is not in the store", digest.oci());
    insert(digest, blob->size, {std::move(key)});
    return {};
  }
  void touch(std::string_view key, WallTime fetched) override { index_.touch(key, fetched); }
  void erase(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    erase_locked(std::string(key));
  }
  Result<std::uint64_t> purge(std::string_view glob) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> matching;
    for (const auto& [digest, keys] : keys_) {
      for (const std::string& key : keys) {
        if (matches_key_glob(glob, key)) matching.push_back(key);
      }
    }
    for (const std::string& key : matching) erase_locked(key);
    return matching.size();
  }
  Stats stats() const override {
    const Index::Totals totals = index_.totals();
    const std::lock_guard lock(mutex_);
    return {totals.bytes, totals.keys, totals.blobs, evictions_, space_->reserved()};
  }
  void flush() override {}

  std::shared_ptr<Space> space() const { return space_; }
  Result<void> grow(Reservation& reservation, std::uint64_t bytes) {
    for (;;) {
      const Space::Answer answer = reservation.grow(bytes, index_.bytes());
      if (answer.granted) return {};
      const std::lock_guard lock(mutex_);
      const std::vector<Digest> victims = index_.oldest(answer.missing, 64);
      if (victims.empty()) return fail(ErrorCode::kNoSpace, "no room for {} in memory, nor by eviction", human({bytes}));
      for (const Digest& victim : victims) drop_blob(victim);
      evictions_ += victims.size();
    }
  }
  void commit(const Digest& digest, const Slice& body, std::vector<KeyRecord> keys) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t size = size_of(body);
    bodies_.try_emplace(digest, body);
    insert(digest, size, std::move(keys));
  }

 private:
  void insert(const Digest& digest, std::uint64_t size, std::vector<KeyRecord> keys) {
    std::vector<RecordEntry> entries;
    for (KeyRecord& key : keys) {
      keys_[digest].insert(key.key);
      entries.push_back({false, ++sequence_, std::move(key)});
    }
    for (const Index::Displaced& displaced : index_.insert(digest, {size, size}, entries)) {
      keys_[displaced.digest].erase(displaced.key);
      if (!index_.has_keys(displaced.digest)) drop_blob(displaced.digest);
    }
  }
  void erase_locked(const std::string& key) {
    const auto digest = index_.blob_of(key);
    if (!digest) return;
    index_.remove_key(key, *digest);
    keys_[*digest].erase(key);
    if (!index_.has_keys(*digest)) drop_blob(*digest);
  }
  void drop_blob(const Digest& digest) {
    index_.remove_blob(digest);
    bodies_.erase(digest);
    keys_.erase(digest);
  }

  Index index_;
  const std::shared_ptr<Space> space_;
  mutable std::mutex mutex_;
  std::unordered_map<Digest, Slice, DigestHash> bodies_;
  std::unordered_map<Digest, std::set<std::string>, DigestHash> keys_;
  std::uint64_t sequence_ = 0;
  std::uint64_t evictions_ = 0;
};

// Writes to an anonymous file, so that followers read from a descriptor here too.
class MemoryWriter final : public Writer {
 public:
  MemoryWriter(MemoryStore& store, std::shared_ptr<const File> file) : store_(store), file_(std::move(file)), reservation_(store.space()) {}

  Result<void> reserve(std::uint64_t bytes) { return store_.grow(reservation_, bytes); }

  Result<void> append(std::span<const std::byte> bytes) override {
    if (!open_) return fail(ErrorCode::kInternal, "append after a failed append, or after commit");
    auto done = append_open(bytes);
    open_ = done.has_value();
    return done;
  }
  std::uint64_t size() const override { return size_; }
  Digest digest() const override { return hash_.digest(); }
  std::shared_ptr<const File> file() const override { return file_; }

  Result<void> commit(std::vector<KeyRecord> keys) override {
    if (!open_) return fail(ErrorCode::kInternal, "commit after a failed append, or a second commit");
    if (keys.empty()) return fail(ErrorCode::kInternal, "commit without a key: nobody could read it");
    open_ = false;
    Slice body = FileSlice{file_, 0, size_};
    if (size_ <= kSmallBody) {
      std::string text(size_, '\0');
      if (::pread(file_->descriptor(), text.data(), size_, 0) != static_cast<ssize_t>(size_)) return fail(system_error(errno, "read back"));
      body = memory_slice(std::move(text));
    }
    store_.commit(hash_.digest(), body, std::move(keys));
    reservation_.release();
    return {};
  }

 private:
  Result<void> append_open(std::span<const std::byte> bytes) {
    const std::uint64_t end = size_ + bytes.size();
    if (end > reservation_.bytes()) {
      const std::uint64_t missing = end - reservation_.bytes();
      auto grown = store_.grow(reservation_, std::max(missing, std::clamp(size_, kFirstStep, kLargestStep)));
      if (!grown) grown = store_.grow(reservation_, missing);
      if (!grown) return grown;
    }
    hash_.update(bytes);
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(file_->descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (n < 0) return fail(system_error(errno, "write to memory"));
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      size_ += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  MemoryStore& store_;
  const std::shared_ptr<const File> file_;
  Reservation reservation_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
  bool open_ = true;
};

Result<std::unique_ptr<Writer>> MemoryStore::begin(std::optional<std::uint64_t> expected) {
  auto file = std::make_shared<const File>(::memfd_create("cistern-blob", MFD_CLOEXEC));
  if (file->descriptor() < 0) return fail(system_error(errno, "memfd_create"));
  auto writer = std::make_unique<MemoryWriter>(*this, std::move(file));
  if (auto reserved = writer->reserve(expected.value_or(std::uint64_t{0})); !reserved) return fail(std::move(reserved.error()));
  return writer;
}

}  // namespace

std::unique_ptr<Store> make_memory_store(Bytes size, const Clock& clock) { return std::make_unique<MemoryStore>(size, clock); }

}  // namespace cistern::store
