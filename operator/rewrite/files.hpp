// Files that are read and replaced as a whole. Blocks on the disk.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.hpp"

namespace cistern::rewrite {

// `-` is standard input.
Result<std::string> read(const std::filesystem::path& file);

// Puts `content` in place of a file that is there, at once: its mode stays, its owner where we may say so; a symbolic link stays one, and
// the file that it leads to is replaced.
Result<void> replace(const std::filesystem::path& file, const std::string& content);

// Where a file goes below `folder`: to its own path there if that is relative and stays below, else by its name alone.
std::filesystem::path place_below(const std::filesystem::path& folder, const std::filesystem::path& file);

}  // namespace cistern::rewrite
