#include "cache-agent/store/disk_writer.hpp"

#include <algorithm>
#include <utility>

namespace cistern::store {
namespace {

// From here on blocks are set aside, so that a full disk is noticed early; for less it is not worth the call.
constexpr std::uint64_t kAllocateFrom = 1 << 20;
// How often a write is tried again after an eviction, when the disk is full although the space was reserved: others write to it too.
constexpr int kFullDiskRetries = 4;

std::vector<std::string> texts_of(const std::vector<KeyRecord>& keys) {
  std::vector<std::string> texts;
  texts.reserve(keys.size());
  for (const KeyRecord& key : keys) texts.push_back(key.key);
  return texts;
}

}  // namespace

DiskWriter::DiskWriter(DiskStore& store, std::string temporary, std::shared_ptr<const File> file)
    : store_(store), disk_(store.disk_), temporary_(std::move(temporary)), file_(std::move(file)), reservation_(store.space_) {}

DiskWriter::~DiskWriter() {
  if (!temporary_.empty()) static_cast<void>(disk_->remove(temporary_));
}

Result<std::unique_ptr<Writer>> DiskWriter::begin(DiskStore& store, std::optional<std::uint64_t> expected) {
  std::string temporary = fmt::format("{}/{}", store.folder_.tmp(), store.temporaries_.fetch_add(1));
  auto file = store.disk_->open(temporary, Disk::Mode::kCreate);
  if (!file) return fail(std::move(file.error()));
  std::unique_ptr<DiskWriter> writer(new DiskWriter(store, std::move(temporary), std::move(*file)));
  if (auto grown = writer->grow(expected.value_or(kFirstStep)); !grown) return fail(std::move(grown.error()));
  return writer;
}

// Reserves more, and sets large pieces aside on the disk.
Result<void> DiskWriter::grow(std::uint64_t bytes) {
  if (auto reserved = store_.grow(reservation_, bytes); !reserved) return reserved;
  if (reservation_.bytes() < kAllocateFrom) return {};
  for (int attempt = 0;; ++attempt) {
    auto allocated = disk_->allocate(*file_, reservation_.bytes());
    if (allocated) break;
    if (allocated.error().code != ErrorCode::kNoSpace || attempt == kFullDiskRetries || !store_.evict(bytes)) return allocated;
  }
  allocated_ = reservation_.bytes();
  reservation_.landed(allocated_);
  return {};
}

Result<void> DiskWriter::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  for (int attempt = 0;; ++attempt) {
    auto written = disk_->write_at(*file_, offset, bytes);
    if (written) return {};
    if (written.error().code != ErrorCode::kNoSpace || attempt == kFullDiskRetries) return written;
    if (!store_.evict(std::max<std::uint64_t>(bytes.size(), kFirstStep))) return written;
  }
}

Result<void> DiskWriter::append(std::span<const std::byte> bytes) {
  if (state_ != State::kOpen) return fail(ErrorCode::kInternal, "append after a failed append, or after commit");
  const std::uint64_t end = size_ + bytes.size();
  Result<void> done;
  if (end > reservation_.bytes()) {
    const std::uint64_t step = std::clamp(size_, kFirstStep, kLargestStep);
    done = grow(std::max(end - reservation_.bytes(), step));
    // The step is a convenience; what is there now is what counts.
    if (!done && done.error().code == ErrorCode::kNoSpace) done = grow(end - reservation_.bytes());
  }
  if (done) done = write(size_, bytes);
  if (!done) {
    state_ = State::kFailed;
    return done;
  }
  hash_.update(bytes);
  if (end <= kSmallBody) {
    body_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else {
    body_ = {};
  }
  size_ = end;
  reservation_.landed(size_);
  return {};
}

Result<void> DiskWriter::commit(std::vector<KeyRecord> keys) {
  if (state_ != State::kOpen) return fail(ErrorCode::kInternal, "commit after a failed append, or a second commit");
  if (keys.empty()) return fail(ErrorCode::kInternal, "commit without a key: nobody could read it");
  auto done = commit_open(keys);
  state_ = State::kDone;
  if (!done) return done;
  if (size_ <= kSmallBody) {
    const std::uint64_t cost = size_ + 160;  // the string's and the cache's own memory
    store_.small_bodies_.put(digest(), std::make_shared<const std::string>(std::move(body_)), cost);
  }
  return {};
}

Result<void> DiskWriter::commit_open(const std::vector<KeyRecord>& keys) {
  const Digest digest = this->digest();
  const std::vector<RecordEntry> entries = store_.number(keys);
  const auto record = encode_record({size_, digest, entries});
  if (!record) return fail(record.error());
  if (auto grown = store_.grow(reservation_, record->size()); !grown) return grown;

  const KeyLocks::Held held = store_.key_locks_.lock(texts_of(keys));
  Result<DiskStore::Displaced> displaced;
  {
    auto lock = store_.lock_folder(digest);
    displaced = store_.add_keys_locked(digest, keys);  // somebody had it before
  }
  if (!displaced && displaced.error().code == ErrorCode::kNotFound) {
    Result<void> done = write(size_, std::as_bytes(std::span(*record)));
    const std::uint64_t file_size = size_ + record->size();
    if (done && allocated_ > file_size) done = disk_->truncate(*file_, file_size);
    if (done) done = disk_->sync(*file_);
    if (!done) return done;
    auto lock = store_.lock_folder(digest);
    displaced = publish_locked(digest, file_size, entries);
  }
  reservation_.release();
  if (!displaced) return fail(std::move(displaced.error()));
  store_.settle(std::move(*displaced));
  return {};
}

Result<DiskStore::Displaced> DiskWriter::publish_locked(const Digest& digest, std::uint64_t file_size,
                                                        const std::vector<RecordEntry>& entries) {
  if (store_.index_->blob(digest)) {  // another writer was faster
    std::vector<KeyRecord> keys;
    for (const RecordEntry& entry : entries) keys.push_back(entry.record);
    auto displaced = store_.add_keys_locked(digest, keys);
    if (displaced || displaced.error().code != ErrorCode::kNotFound) return displaced;
  }
  if (auto published = store_.files_.publish(temporary_, digest); !published) {
    // It may have its name already, and not for good: nobody has been told of it.
    if (auto removed = store_.files_.remove(digest); !removed) store_.trouble_ = true;
    return fail(std::move(published.error()));
  }
  temporary_.clear();
  return store_.index_->insert(digest, {size_, file_size}, entries);
}

}  // namespace cistern::store
