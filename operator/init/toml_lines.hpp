// As much of TOML as container runtimes' registry settings use: tables, arrays of tables, and keys with strings, booleans or lists of
// strings. Anything else on a line is passed over.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cistern::init {

struct TomlTable {
  std::vector<std::string> path;  // [a."b.c"] → a, b.c; empty at the top
  struct Entry {
    std::string key;
    std::vector<std::string> values;  // one, or those of a list; booleans as "true" and "false"
  };
  std::vector<Entry> entries;

  // The first value of a key, else empty.
  std::string get(std::string_view key) const;
  const Entry* find(std::string_view key) const;
};

// The table at the top first.
std::vector<TomlTable> read_toml(std::string_view text);

}  // namespace cistern::init
