// Reading nodes out of a tree whose root is trusted, by tiles which are not: which tiles that takes, and whether they are right.
//
// The plan holds the tiles at the tree's right edge (its frontier), which give the root, and for each wanted node the chain of
// complete tiles from its own up to one already planned. Contents are right when the frontier hashes to the root and every
// other tile hashes to its place in its parent. Whatever is read this way is proven to be in the tree.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "cache-agent/verify/tile.hpp"
#include "cache-agent/verify/tlog.hpp"

namespace cistern::verify {

// A value; any thread.
class TileReading {
 public:
  // kCorrupt where a node is not in a tree of that size: whoever named it lied about the log.
  static Result<TileReading> plan(const Tree& tree, std::vector<Node> wanted);

  // Parents before children.
  const std::vector<Tile>& tiles() const { return tiles_; }

  // The hashes of the wanted nodes, in their order, if `contents` (of tiles(), in their order) are right; else kCorrupt.
  Result<std::vector<Hash>> authenticate(std::span<const std::string> contents) const;

 private:
  std::size_t position(const Tile& tile) const;
  Hash hash(const Node& node, std::span<const std::string> contents) const;

  Tree tree_;
  std::vector<Node> wanted_;
  std::vector<Tile> tiles_;
  std::size_t frontier_ = 0;  // how many of tiles_ are the frontier's
};

}  // namespace cistern::verify
