#include "cache-agent/verify/verified_memory.hpp"

#include <utility>

namespace cistern::verify {
namespace {

// An entry, with about what the list and the map take for it.
Bytes cost(std::string_view key, std::string_view value) { return {2 * key.size() + value.size() + 128}; }

}  // namespace

std::optional<std::string> VerifiedMemory::tile(const Tile& tile) { return get(tile.complete().path(), tile.bytes()); }

void VerifiedMemory::keep_tile(const Tile& tile, std::string bytes) { put(tile.complete().path(), std::move(bytes)); }

std::optional<std::string> VerifiedMemory::record(const std::string& path) { return get(path, std::nullopt); }

void VerifiedMemory::keep_record(const std::string& path, std::string record) { put(path, std::move(record)); }

std::optional<std::string> VerifiedMemory::get(const std::string& key, std::optional<std::size_t> length) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  const std::string& value = found->second->value;
  if (length && *length > value.size()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found->second);
  return value.substr(0, length.value_or(value.size()));
}

void VerifiedMemory::put(std::string key, std::string value) {
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    if (found->second->value.size() >= value.size()) return;
    const auto entry = found->second;
    used_ = used_ - cost(entry->key, entry->value);
    by_key_.erase(found);
    entries_.erase(entry);
  }
  used_ = used_ + cost(key, value);
  entries_.push_front({std::move(key), std::move(value)});
  by_key_.emplace(entries_.front().key, entries_.begin());
  while (used_ > limit_) {
    const Entry& oldest = entries_.back();
    used_ = used_ - cost(oldest.key, oldest.value);
    by_key_.erase(oldest.key);
    entries_.pop_back();
  }
}

}  // namespace cistern::verify
