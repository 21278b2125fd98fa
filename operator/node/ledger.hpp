// What is ours on this node, and what was there before: one file in the state folder on the host, replaced as a whole. Values; see `keeper`
// for what they are for.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/node/file_system.hpp"

namespace cistern::node {

// Something of others that was in the way.
struct Original {
  Kind kind = Kind::kFile;  // or kLink
  Attributes attributes;
  std::string target;  // of a link
  std::string digest;  // SHA-256 of a file's content …
  std::string backup;  // … which is in this file of the backup folder
};

struct ManagedFile {
  std::string content;   // ours
  std::string fallback;  // ours, for when nobody looks after the agent any more; the same unless the file is strict
  bool once = false;     // others' file with a change of ours: never written again, and put back only while nobody else has changed it
  std::optional<Original> original;
  std::vector<std::string> folders;  // that we made for it, outermost first
};

// A change that is under way.
struct Pending {
  struct Step {
    bool existed = false;  // before it
    std::string digest;    // of what comes; empty: a link, or nothing
  };
  std::map<std::string, Step> steps;  // by path
  std::vector<std::string> folders;   // that it makes
  std::vector<std::string> backups;   // that were made for it
};

struct Ledger {
  std::map<std::string, ManagedFile> files;  // by path on the host, without links in it
  std::optional<Pending> pending;
  std::set<std::string> asides;   // paths beside which something of a finished change may still lie
  std::set<std::string> folders;  // ours, to be removed once they are empty
  std::set<std::string> backups;  // that nobody needs any more

  std::string config;                   // node.json that the files are from; empty: none
  std::string place;                    // Detection's, when they were written
  std::map<std::string, bool> storage;  // cache folders that were prepared; whether they stay in the end
  unsigned repairs = 0;                 // drift mended so far
};

std::string to_text(const Ledger& ledger);
// kCorrupt, with what is wrong.
Result<Ledger> parse_ledger(const std::string& text);

}  // namespace cistern::node
