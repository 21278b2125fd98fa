// Tiles: how a checksum database publishes its tree, 256 hashes a file (golang.org/x/mod/sumdb/tlog, "tiling a log").
//
// The tile {level, index, width} holds the nodes {8·level, 256·index … 256·index + width - 1}. A tile is complete with 256 of
// them; as the log grows, a tile is published with more and more, always as a continuation of the narrower one. Level kData
// holds the texts of records in place of hashes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cache-agent/verify/tlog.hpp"

namespace cistern::verify {

struct Tile {
  static constexpr unsigned kHeight = 8;
  static constexpr unsigned kWidth = 1U << kHeight;  // of a complete tile
  static constexpr std::size_t kHashSize = sizeof(Hash::bytes);
  static constexpr int kData = -1;

  int level = 0;            // kData, or 0 to 7
  std::uint64_t index = 0;  // within the level
  unsigned width = kWidth;  // 1 to 256
  bool operator==(const Tile&) const = default;

  // "/tile/8/<level>/<index>[.p/<width>]": level "data" for kData; the index in groups of three digits, all but the last with
  // an x: "/tile/8/0/x001/x234/067.p/12". Heights other than 8, forms that are not the shortest, and indexes that no log of
  // less than 2^63 records reaches are kNotFound, since no database has them.
  static Result<Tile> parse(std::string_view path);
  std::string path() const;

  Tile complete() const { return {level, index, kWidth}; }
  // How many records a log has when this tile is first published.
  std::uint64_t records() const;
  // Of hash tiles.
  std::size_t bytes() const { return width * kHashSize; }
};

// The tile that holds `node`, as wide as it is in a log of `size` records; width 0 where that log has no such node's tile.
Tile tile_of(const Node& node, std::uint64_t size);

// A node in a tile, of the hashes below it. `tile` is one that tile_of(node, …) gave, `bytes` its contents.
Hash hash_in_tile(const Tile& tile, std::string_view bytes, const Node& node);

// The node that a complete tile hangs below: {8·(level + 1), index}.
Hash root_of_complete_tile(std::string_view bytes);

}  // namespace cistern::verify
