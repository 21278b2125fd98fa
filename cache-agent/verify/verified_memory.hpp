// The tiles and records that were verified lately, in memory.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/units.hpp"
#include "cache-agent/verify/tile.hpp"

namespace cistern::verify {

// Least recently used leave first. Thread-safe. Verified contents never change, only become wider: a tile is kept once, at the
// widest that was seen, and given out at the width asked for.
class VerifiedMemory {
 public:
  explicit VerifiedMemory(Bytes limit) : limit_(limit) {}

  std::optional<std::string> tile(const Tile& tile);
  void keep_tile(const Tile& tile, std::string bytes);

  std::optional<std::string> record(const std::string& path);
  void keep_record(const std::string& path, std::string record);

 private:
  struct Entry {
    std::string key;
    std::string value;
  };
  // The value's first `length` bytes, or all; nothing where fewer are there.
  std::optional<std::string> get(const std::string& key, std::optional<std::size_t> length);
  void put(std::string key, std::string value);

  const Bytes limit_;
  std::mutex mutex_;
  Bytes used_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
};

}  // namespace cistern::verify
