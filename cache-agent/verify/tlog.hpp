// The transparent log below a checksum database: its hashes (RFC 6962 §2.1), tree heads and records (golang.org/x/mod/sumdb/tlog).
//
// Record number i has the hash leaf_hash(record). Node {level, index} is the root of the perfect subtree over the 2^level records
// from index·2^level on. A tree of any size is a row of such subtrees, one for each bit of its size, largest first; its root
// hashes them together from the right. So the nodes of the first n records, read out of a larger tree, give the root that the
// log had at size n: that is the consistency proof used here. An inclusion proof is the node {0, i} read out of the tree.
//
// Pure functions and values: any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"

namespace cistern::verify {

using Hash = Digest;

Hash leaf_hash(std::string_view record);
Hash node_hash(const Hash& left, const Hash& right);

struct Node {
  unsigned level = 0;
  std::uint64_t index = 0;
  bool operator==(const Node&) const = default;
};

// The perfect subtrees that a tree of `size` records consists of, largest first. `size` < 2^63.
std::vector<Node> subtrees(std::uint64_t size);
// The root of a tree, of the hashes of subtrees(size). Without any: the hash of the empty tree.
Hash root_of_subtrees(std::span<const Hash> hashes);

// What a tree head says.
struct Tree {
  std::uint64_t size = 0;
  Hash root = root_of_subtrees({});
  bool operator==(const Tree&) const = default;
};

// The text of a tree head: "go.sum database tree\n<size>\n<base64 root>\n"; further lines are ignored, as the format demands.
// kCorrupt otherwise. Sizes are below 2^63.
Result<Tree> parse_tree(std::string_view text);

// The answer to a look-up: "<id>\n<text>\n<signed tree head>", where text is lines of go.sum, none empty.
struct Lookup {
  std::uint64_t id = 0;
  std::string text;  // what is hashed: whole lines
  std::string head;  // the signed note
};
// kCorrupt when malformed. Nothing is verified yet.
Result<Lookup> parse_lookup(std::string_view body);
// The part of the answer before the head.
std::string format_record(std::uint64_t id, std::string_view text);

// The texts in a data tile: each followed by an empty line. kCorrupt when malformed.
Result<std::vector<std::string_view>> split_data_tile(std::string_view body);

}  // namespace cistern::verify
