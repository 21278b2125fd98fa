// A whole file's references. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "operator/rewrite/reference.hpp"

namespace cistern::rewrite {

enum class Kind { kYaml, kDockerfile };

// By the file's name (Dockerfile, Dockerfile.X, X.Dockerfile, Containerfile likewise, *.yaml, *.yml, *.json); else by what is in it: a
// Dockerfile's first instruction is FROM or ARG.
Kind kind_of(const std::string& file, std::string_view text);

struct Rewritten {
  std::string text;                  // the same where nothing was to be changed
  std::vector<std::string> remarks;  // "FILE:LINE: REFERENCE: why it is left as it is"
};

// At most 16 MiB of UTF-8; a byte order mark stays. kInvalid, with file and line, for what is not YAML.
Result<Rewritten> rewrite(std::string_view text, const std::string& file, Kind kind, const Mirror& mirror, Direction direction);

}  // namespace cistern::rewrite
