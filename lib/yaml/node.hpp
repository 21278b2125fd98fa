// A YAML or JSON document as a tree whose every node knows where it was written. Values are what YAML 1.2's core schema says: only
// true and false are booleans, so `Off` is a string.
//
// Documents come from people and may be hostile: at most 1 MiB of UTF-8, 64 levels, and 50 000 nodes with aliases expanded.
// Pure values; any thread.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace cistern::yaml {

// Fields stay in the order in which they were described or written.
using Json = nlohmann::ordered_json;

// A place in a file. Line 0: the file as a whole; no file: made by the program.
struct Position {
  std::shared_ptr<const std::string> file;
  int line = 0;

  // "policy.yaml:12", "policy.yaml", or empty.
  std::string to_string() const;
};

struct Node {
  enum class Kind { kScalar, kList, kMap };

  Kind kind = Kind::kScalar;
  std::string key;             // in its parent, if that is a map
  Json scalar;                 // null, boolean, number or string
  std::vector<Node> children;  // of a list or a map; keys are unique
  Position position;           // of the key, if there is one

  bool is_null() const { return kind == Kind::kScalar && scalar.is_null(); }
  // The member with this key; null if there is none, or if this is no map.
  const Node* find(std::string_view name) const;
  Node* find(std::string_view name);
};

// What a node is, for messages: `the number 5`, `the text "x"`, `a list`, `nothing`.
std::string describe_value(const Node& node);

// Every document of the text that is not empty. `file` is what errors and positions name. kInvalid, with file and line, for broken
// YAML, a key given twice, a key that is no scalar, or a document beyond the limits.
Result<std::vector<Node>> parse(std::string_view text, const std::string& file);

Json to_json(const Node& node);
Node from_json(const Json& json);

// Block style; a string that any YAML reader (1.1 or 1.2) could take for something else is quoted. parse(emit(x)) is x.
std::string emit(const Json& json);

}  // namespace cistern::yaml
