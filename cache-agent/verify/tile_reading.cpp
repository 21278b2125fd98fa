#include "cache-agent/verify/tile_reading.hpp"

#include <algorithm>

namespace cistern::verify {
namespace {

// The node whose hash is a complete tile's root.
Node above(const Tile& tile) { return {(static_cast<unsigned>(tile.level) + 1) * Tile::kHeight, tile.index}; }

}  // namespace

// A plan has some twenty tiles at most for a look-up: a search in order is quicker than a map.
std::size_t TileReading::position(const Tile& tile) const {
  return static_cast<std::size_t>(std::find(tiles_.begin(), tiles_.end(), tile) - tiles_.begin());
}

Result<TileReading> TileReading::plan(const Tree& tree, std::vector<Node> wanted) {
  TileReading reading;
  reading.tree_ = tree;
  for (const Node& node : subtrees(tree.size)) {
    const Tile tile = tile_of(node, tree.size);
    if (reading.position(tile) == reading.tiles_.size()) reading.tiles_.push_back(tile);
  }
  reading.frontier_ = reading.tiles_.size();
  for (const Node& node : wanted) {
    if (node.level > 62 || node.index >= tree.size >> node.level) {
      return fail(ErrorCode::kCorrupt, "the log of {} records has no node {} at level {}", tree.size, node.index, node.level);
    }
    // Incomplete tiles are all in the frontier, so that only complete ones, which have a parent, are added here.
    std::vector<Tile> chain;
    for (Tile tile = tile_of(node, tree.size); reading.position(tile) == reading.tiles_.size(); tile = tile_of(above(tile), tree.size)) {
      chain.push_back(tile);
    }
    reading.tiles_.insert(reading.tiles_.end(), chain.rbegin(), chain.rend());
  }
  reading.wanted_ = std::move(wanted);
  return reading;
}

Hash TileReading::hash(const Node& node, std::span<const std::string> contents) const {
  const Tile tile = tile_of(node, tree_.size);
  return hash_in_tile(tile, contents[position(tile)], node);
}

Result<std::vector<Hash>> TileReading::authenticate(std::span<const std::string> contents) const {
  for (std::size_t i = 0; i < tiles_.size(); ++i) {
    if (contents[i].size() == tiles_[i].bytes()) continue;
    return fail(ErrorCode::kCorrupt, "{} has {} bytes instead of {}", tiles_[i].path(), contents[i].size(), tiles_[i].bytes());
  }
  std::vector<Hash> parts;
  for (const Node& node : subtrees(tree_.size)) parts.push_back(hash(node, contents));
  if (root_of_subtrees(parts) != tree_.root) {
    return fail(ErrorCode::kCorrupt, "the tiles at the edge of the log of {} records do not hash to its root", tree_.size);
  }
  for (std::size_t i = frontier_; i < tiles_.size(); ++i) {
    if (root_of_complete_tile(contents[i]) != hash(above(tiles_[i]), contents)) {
      return fail(ErrorCode::kCorrupt, "{} does not belong to the log of {} records", tiles_[i].path(), tree_.size);
    }
  }
  std::vector<Hash> hashes;
  for (const Node& node : wanted_) hashes.push_back(hash(node, contents));
  return hashes;
}

}  // namespace cistern::verify
