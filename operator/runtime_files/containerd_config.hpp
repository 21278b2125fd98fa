// What containerd's config.toml, with its imports, says of registries. Blocks on the disk.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace cistern::runtime_files {

struct ContainerdConfig {
  std::filesystem::path file;  // as containerd sees it
  bool exists = false;         // else containerd runs with its defaults
  int version = 1;
  std::optional<std::string> config_path;                   // as it is written; nothing: not said. May be several with ':'
  std::map<std::string, std::vector<std::string>> mirrors;  // registry.mirrors: name → endpoints
  bool has_configs = false;                                 // registry.configs
  std::string sandbox_image;                                // sandbox_image, or pinned_images.sandbox of 2.x; empty: not said
  std::vector<std::string> problems;                        // files that can not be read or parsed: containerd would not start with them

  // The folders of config_path.
  std::vector<std::string> folders() const;
};

// `file` as containerd sees it, below `root`. Of both CRI sections (1.x: io.containerd.grpc.v1.cri, 2.x: io.containerd.cri.v1.images) the
// one that says something counts.
ContainerdConfig read_containerd_config(const std::filesystem::path& root, const std::filesystem::path& file);

// The file with config_path set and nothing else changed, whichever of the two sections its version has. kConflict, and why, where that is
// not safe: registry.mirrors or registry.configs are there, beside which config_path stops the CRI plugin; or an imported file decides.
Result<std::string> with_config_path(const std::string& text, const std::string& config_path);

}  // namespace cistern::runtime_files
