// registries.conf and its drop-ins, as CRI-O, podman and skopeo read them (containers-registries.conf(5), version 2).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace cistern::runtime_files {

struct RegistryEntry {
  struct Mirror {
    std::string location;
    bool insecure = false;
    std::string pull_from_mirror;  // as written; empty: not said
  };
  std::string prefix;
  std::string location;  // empty: as the prefix
  bool insecure = false;
  bool blocked = false;
  bool mirror_by_digest_only = false;
  std::vector<Mirror> mirrors;  // in the order in which they are asked
  std::string source;           // the file
};

// In the file's order.
Result<std::vector<RegistryEntry>> parse_registries_conf(std::string_view text);

// The entry that is in force for exactly this prefix: registries.conf below `root`/etc/containers, then registries.conf.d/*.conf in the
// order of their names, the last wins. `leave_out`: a file name of registries.conf.d that does not count.
std::optional<RegistryEntry> registry_entry_in_force(const std::filesystem::path& root, std::string_view prefix,
                                                     std::string_view leave_out);

// Asks `mirror` (HOST:PORT/PATH, plain HTTP) first, then what `before` says, or the registry itself.
std::string registry_with_mirror(std::string_view registry, std::string_view mirror, const std::optional<RegistryEntry>& before);
// Asks nobody else.
std::string strict_registry(std::string_view registry, std::string_view mirror);

}  // namespace cistern::runtime_files
