// Everything that is wrong with a document, collected, so that a person mends it once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "yaml/node.hpp"

namespace cistern::yaml {

class Problems {
 public:
  // `path` as in "spec.go.upstreams[0].url"; `message` says what is wrong and what would be right.
  void add(const Position& position, std::string_view path, std::string_view message);
  void append(const Problems& others);
  bool empty() const { return lines_.empty(); }
  // One line each, "FILE:LINE: path: message", in the order of the files' lines; kInvalid.
  Error to_error() const;

 private:
  struct Line {
    int line;
    std::string text;
  };
  std::vector<Line> lines_;
};

// "a" + "b" → "a.b"; keys that hold a dot or a slash are written ["like.this"].
std::string join_path(std::string_view path, std::string_view key);
std::string join_path(std::string_view path, std::size_t index);

// The node at such a path below `root`, or else the nearest one above it that exists.
const Node& nearest_node(const Node& root, std::string_view path);

// The one of `names` that a person who wrote `name` most likely meant; empty if none is near.
std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& names);

}  // namespace cistern::yaml
