// A bounded cache by digest, least recently used out first: small bodies, and open files.
//
// Thread-safe: sixteen shards, each with its own lock, so that cores seldom meet.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/digest.hpp"

namespace cistern::store {

// `Value` is cheap to copy (a shared_ptr). Costs are in a unit of the caller's choice.
template <class Value>
class LruCache {
 public:
  explicit LruCache(std::uint64_t capacity) : capacity_of_shard_(capacity / kShards) {}

  std::optional<Value> get(const Digest& digest) {
    Shard& shard = shard_of(digest);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.nodes.find(digest);
    if (found == shard.nodes.end()) return std::nullopt;
    shard.by_use.splice(shard.by_use.begin(), shard.by_use, found->second);
    return found->second->value;
  }

  void put(const Digest& digest, Value value, std::uint64_t cost) {
    if (cost > capacity_of_shard_) return;
    Shard& shard = shard_of(digest);
    const std::lock_guard lock(shard.mutex);
    shard.erase(digest);
    shard.by_use.push_front({digest, std::move(value), cost});
    shard.nodes.emplace(digest, shard.by_use.begin());
    shard.cost += cost;
    while (shard.cost > capacity_of_shard_) shard.erase(shard.by_use.back().digest);
  }

  void erase(const Digest& digest) {
    Shard& shard = shard_of(digest);
    const std::lock_guard lock(shard.mutex);
    shard.erase(digest);
  }

 private:
  static constexpr std::size_t kShards = 16;
  struct Node {
    Digest digest;
    Value value;
    std::uint64_t cost;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::list<Node> by_use;  // newest first
    std::unordered_map<Digest, typename std::list<Node>::iterator, DigestHash> nodes;
    std::uint64_t cost = 0;

    // By value: the argument may be a part of what is erased.
    void erase(Digest digest) {
      const auto found = nodes.find(digest);
      if (found == nodes.end()) return;
      cost -= found->second->cost;
      by_use.erase(found->second);
      nodes.erase(found);
    }
  };

  // By the last byte: the hash map below takes the first ones.
  Shard& shard_of(const Digest& digest) { return shards_[digest.bytes[31] % kShards]; }

  const std::uint64_t capacity_of_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace cistern::store
