// Private to the keeper: what a transaction consists of.
#pragma once

#include "operator/node/keeper.hpp"

namespace cistern::node {

bool is_unmanaged(std::string_view content);
bool is_ours(std::string_view content);

// Names beside a file that no runtime reads: what comes, and what was there.
inline fs::path aside_of(const fs::path& file) { return file.parent_path() / ("." + file.filename().string() + ".cistern-new"); }
inline fs::path before_of(const fs::path& file) { return file.parent_path() / ("." + file.filename().string() + ".cistern-before"); }

// What a path shall be.
struct Keeper::Step {
  std::string path;
  enum class To { kFile, kLink, kNothing } to = To::kFile;
  std::string content;  // of the file, or where the link leads
  Attributes attributes = {};
  bool existed = false;
};

struct Keeper::Transaction {
  Ledger next;  // as it is once all is done
  std::vector<Step> steps;
  std::vector<std::string> folders;  // to make, outermost first
  std::vector<std::string> backups;  // to write: names …
  std::vector<std::string> copies;   // … and contents
  Change change;
};

}  // namespace cistern::node
