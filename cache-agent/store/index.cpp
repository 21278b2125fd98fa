#include "cache-agent/store/index.hpp"

#include <algorithm>
#include <cstring>

namespace cistern::store {
namespace {

// A blob's use is written to the database when it is this much later than the one that is there: enough to know the old from the new.
constexpr std::uint32_t kUseGranularity = 600;

std::uint32_t seconds_of(WallTime time) {
  const auto count = time.time_since_epoch().count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, kNone - 1));
}

WallTime time_of(std::uint32_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

std::uint32_t tag_of(const Digest& digest) {
  std::uint32_t tag;
  std::memcpy(&tag, digest.bytes.data(), sizeof tag);
  return tag;
}

std::uint32_t tag_of(const KeyHash& hash) { return static_cast<std::uint32_t>(hash.low); }

}  // namespace

std::uint32_t Index::now() const { return seconds_of(clock_.wall()); }

std::uint32_t Index::find_key(const KeyHash& hash) const {
  return key_table_.find(tag_of(hash), [&](std::uint32_t id) { return keys_[id].hash == hash; });
}

std::uint32_t Index::find_blob(const Digest& digest) const {
  return blob_table_.find(tag_of(digest), [&](std::uint32_t id) { return blobs_[id].digest == digest; });
}

std::optional<Entry> Index::find(std::string_view key) {
  const KeyHash hash = hasher_(key);
  const std::uint32_t time = now();
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_key(hash);
  if (id == kNone) return std::nullopt;
  const KeyNode& node = keys_[id];
  BlobNode& blob = blobs_[node.blob];
  if (newest_ != node.blob) {
    unlink_use(node.blob);
    link_newest(node.blob);
  }
  if (time >= blob.used + kUseGranularity) {
    blob.used = time;
    if (listener_ != nullptr) listener_->set_used(node.blob, time);
  }
  return Entry{blob.digest, blob.size, time_of(node.fetched), metas_[node.meta].meta};
}

std::optional<Digest> Index::blob_of(std::string_view key) const {
  const KeyHash hash = hasher_(key);
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_key(hash);
  if (id == kNone) return std::nullopt;
  return blobs_[keys_[id].blob].digest;
}

std::optional<Index::Blob> Index::blob(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_blob(digest);
  if (id == kNone) return std::nullopt;
  return Blob{blobs_[id].size, blobs_[id].file_size};
}

bool Index::has_keys(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_blob(digest);
  return id != kNone && blobs_[id].first_key != kNone;
}

bool Index::names(std::string_view key, const Digest& digest, const Meta& meta) const {
  const KeyHash hash = hasher_(key);
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_key(hash);
  return id != kNone && blobs_[keys_[id].blob].digest == digest && *metas_[keys_[id].meta].meta == meta;
}

std::vector<Index::Displaced> Index::insert(const Digest& digest, Blob blob, std::span<const RecordEntry> keys) {
  std::vector<KeyHash> hashes;
  for (const RecordEntry& entry : keys) hashes.push_back(hasher_(entry.record.key));
  std::vector<Displaced> displaced;
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = put_blob(digest, blob);
  for (std::size_t i = 0; i < keys.size(); ++i) put_key(id, keys[i], hashes[i], displaced);
  return displaced;
}

std::vector<Index::Displaced> Index::replace(const Digest& digest, Blob blob, std::span<const RecordEntry> keys) {
  std::vector<KeyHash> hashes;
  for (const RecordEntry& entry : keys) hashes.push_back(hasher_(entry.record.key));
  std::vector<Displaced> displaced;
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = put_blob(digest, blob);
  for (std::uint32_t key = blobs_[id].first_key; key != kNone;) {
    const std::uint32_t next = keys_[key].next;
    if (std::find(hashes.begin(), hashes.end(), keys_[key].hash) == hashes.end()) drop_key(key);
    key = next;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) put_key(id, keys[i], hashes[i], displaced);
  return displaced;
}

std::uint32_t Index::put_blob(const Digest& digest, Blob blob) {
  std::uint32_t id = find_blob(digest);
  if (id == kNone) {
    id = blobs_.add(BlobNode{.digest = digest, .size = blob.size, .used = now(), .there = true});
    blob_table_.insert(tag_of(digest), id);
    link_newest(id);
  }
  BlobNode& node = blobs_[id];
  bytes_ += blob.file_size - node.file_size;
  node.file_size = blob.file_size;
  node.seen = true;
  if (listener_ != nullptr) listener_->put_blob(row_of(id));
  return id;
}

void Index::put_key(std::uint32_t blob, const RecordEntry& entry, const KeyHash& hash, std::vector<Displaced>& displaced) {
  const std::uint32_t known = find_key(hash);
  if (known != kNone) {
    const std::uint32_t other = keys_[known].blob;
    if (keys_[known].sequence > entry.sequence) {
      if (other != blob) displaced.push_back({blobs_[blob].digest, entry.record.key});
      return;
    }
    drop_key(known);
    if (other != blob) {
      displaced.push_back({blobs_[other].digest, entry.record.key});
      tell_unsettled(other);
    }
  }
  KeyNode node{hash, entry.sequence, blob, use_meta(entry.record.meta), seconds_of(entry.record.fetched), blobs_[blob].first_key};
  const std::uint32_t id = keys_.add(node);
  key_table_.insert(tag_of(hash), id);
  blobs_[blob].first_key = id;
  if (listener_ != nullptr) {
    listener_->put_key({id, entry.record.key, blob, blobs_[blob].digest, node.meta, node.fetched, node.sequence});
  }
}

void Index::set_file_size(const Digest& digest, std::uint64_t file_size) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_blob(digest);
  if (id == kNone) return;
  bytes_ += file_size - blobs_[id].file_size;
  blobs_[id].file_size = file_size;
  if (listener_ != nullptr) listener_->put_blob(row_of(id));
}

void Index::touch(std::string_view key, WallTime fetched) {
  const KeyHash hash = hasher_(key);
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_key(hash);
  if (id == kNone) return;
  keys_[id].fetched = seconds_of(fetched);
  if (listener_ != nullptr) listener_->set_fetched(id, keys_[id].fetched);
}

bool Index::remove_key(std::string_view key, const Digest& digest) {
  const KeyHash hash = hasher_(key);
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_key(hash);
  if (id == kNone || blobs_[keys_[id].blob].digest != digest) return false;
  const std::uint32_t blob = keys_[id].blob;
  drop_key(id);
  tell_unsettled(blob);
  return true;
}

bool Index::remove_blob(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_blob(digest);
  if (id == kNone) return false;
  drop_blob(id);
  return true;
}

void Index::drop_key(std::uint32_t id) {
  unchain(id);
  key_table_.erase(tag_of(keys_[id].hash), id);
  release_meta(keys_[id].meta);
  keys_.free_up(id);
  if (listener_ != nullptr) listener_->drop_key(id);
}

void Index::drop_blob(std::uint32_t id) {
  while (blobs_[id].first_key != kNone) drop_key(blobs_[id].first_key);
  unlink_use(id);
  bytes_ -= blobs_[id].file_size;
  blob_table_.erase(tag_of(blobs_[id].digest), id);
  blobs_.free_up(id);
  if (listener_ != nullptr) listener_->drop_blob(id);
}

// A key does not name the blob any more. Until its file says so too, the database remembers that it does not.
void Index::tell_unsettled(std::uint32_t blob) {
  if (listener_ == nullptr) return;
  BlobRow row = row_of(blob);
  row.file_size = 0;
  listener_->put_blob(row);
}

void Index::unchain(std::uint32_t key) {
  std::uint32_t* link = &blobs_[keys_[key].blob].first_key;
  while (*link != key) link = &keys_[*link].next;
  *link = keys_[key].next;
}

std::uint32_t Index::use_meta(const Meta& meta) {
  const auto known = meta_ids_.find(meta);
  if (known != meta_ids_.end()) {
    ++metas_[known->second].uses;
    return known->second;
  }
  const std::uint32_t id = metas_.add({std::make_shared<const Meta>(meta), 1});
  meta_ids_.emplace(meta, id);
  if (listener_ != nullptr) listener_->put_meta({id, meta});
  return id;
}

void Index::release_meta(std::uint32_t id) {
  if (--metas_[id].uses != 0) return;
  meta_ids_.erase(*metas_[id].meta);
  metas_.free_up(id);
  if (listener_ != nullptr) listener_->drop_meta(id);
}

void Index::link_newest(std::uint32_t blob) {
  blobs_[blob].newer = kNone;
  blobs_[blob].older = newest_;
  if (newest_ != kNone) blobs_[newest_].newer = blob;
  newest_ = blob;
  if (oldest_ == kNone) oldest_ = blob;
}

void Index::unlink_use(std::uint32_t blob) {
  const BlobNode& node = blobs_[blob];
  (node.newer == kNone ? newest_ : blobs_[node.newer].older) = node.older;
  (node.older == kNone ? oldest_ : blobs_[node.older].newer) = node.newer;
}

BlobRow Index::row_of(std::uint32_t id) const {
  const BlobNode& node = blobs_[id];
  return {id, node.digest, node.size, node.file_size, node.used};
}

std::vector<Digest> Index::oldest(std::uint64_t bytes, std::size_t count) const {
  std::vector<Digest> found;
  std::uint64_t sum = 0;
  const std::lock_guard lock(mutex_);
  for (std::uint32_t id = oldest_; id != kNone && sum < bytes && found.size() < count; id = blobs_[id].newer) {
    found.push_back(blobs_[id].digest);
    sum += blobs_[id].file_size;
  }
  return found;
}

Index::Totals Index::totals() const {
  const std::lock_guard lock(mutex_);
  return {bytes_, key_table_.size(), blob_table_.size()};
}

bool Index::load_blob(const BlobRow& row) {
  if (loaded_blob(row.id) != nullptr || find_blob(row.digest) != kNone) return false;
  blobs_.place(row.id, {.digest = row.digest, .size = row.size, .file_size = row.file_size, .used = row.used, .there = true});
  blob_table_.insert(tag_of(row.digest), row.id);
  bytes_ += row.file_size;
  return true;
}

bool Index::load_meta(MetaRow row) {
  if ((row.id < metas_.end() && metas_[row.id].meta != nullptr) || meta_ids_.contains(row.meta)) return false;
  meta_ids_.emplace(row.meta, row.id);
  metas_.place(row.id, {std::make_shared<const Meta>(std::move(row.meta)), 0});
  return true;
}

bool Index::load_key(const KeyRow& row) {
  const KeyHash hash = hasher_(row.key);
  if (loaded_blob(row.blob) == nullptr || row.meta >= metas_.end() || metas_[row.meta].meta == nullptr) return false;
  if ((row.id < keys_.end() && keys_[row.id].blob != kNone) || find_key(hash) != kNone) return false;
  ++metas_[row.meta].uses;
  keys_.place(row.id, {hash, row.sequence, row.blob, row.meta, row.fetched, blobs_[row.blob].first_key});
  key_table_.insert(tag_of(hash), row.id);
  blobs_[row.blob].first_key = row.id;
  return true;
}

const Digest* Index::loaded_blob(std::uint32_t id) const { return id < blobs_.end() && blobs_[id].there ? &blobs_[id].digest : nullptr; }

void Index::finish_loading() {
  std::vector<std::uint32_t> by_use;
  for (std::uint32_t id = 0; id < blobs_.end(); ++id) {
    if (blobs_[id].there) {
      by_use.push_back(id);
    } else {
      blobs_.free_up(id);
    }
  }
  std::stable_sort(by_use.begin(), by_use.end(), [&](std::uint32_t a, std::uint32_t b) { return blobs_[a].used < blobs_[b].used; });
  for (const std::uint32_t id : by_use) link_newest(id);
  for (std::uint32_t id = 0; id < keys_.end(); ++id) {
    if (keys_[id].blob == kNone) keys_.free_up(id);
  }
  for (std::uint32_t id = 0; id < metas_.end(); ++id) {
    if (metas_[id].meta == nullptr) metas_.free_up(id);
  }
}

void Index::mark_seen(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = find_blob(digest);
  if (id != kNone) blobs_[id].seen = true;
}

std::vector<Digest> Index::unseen() const {
  std::vector<Digest> found;
  const std::lock_guard lock(mutex_);
  for (std::uint32_t id = 0; id < blobs_.end(); ++id) {
    if (blobs_[id].there && !blobs_[id].seen) found.push_back(blobs_[id].digest);
  }
  return found;
}

}  // namespace cistern::store
