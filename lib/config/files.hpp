// The credential, certificate and key files that a configuration names. Used by load.cpp only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "config/model.hpp"

namespace cistern::config {

// Reads files below a folder, remembering each for the hash and the watch. One thread.
class Files {
 public:
  explicit Files(const std::filesystem::path& folder);

  // Relative names are below the folder; lexically normal.
  std::filesystem::path absolute(const std::string& name) const;
  // kNotFound if it does not exist; at most 1 MiB.
  Result<std::string> read(const std::string& name);
  // Something that the hash covers and that is no file beside the configuration.
  void add_to_hash(std::string_view name, std::string_view content);

  // `hosts`: names under which a .dockerconfigjson may hold them, best first.
  Result<Credentials> read_credentials(const std::string& folder, const std::vector<std::string>& hosts);
  // At least one PEM certificate, and nothing but PEM.
  Result<std::string> read_certificates(const std::string& name);

  // 16 hex digits over everything read so far.
  std::string hash() const;
  // Absolute paths of everything that was looked for, whether it was there or not.
  const std::vector<std::string>& looked_for() const { return looked_for_; }

 private:
  std::filesystem::path folder_;
  Sha256 hash_;
  std::vector<std::string> looked_for_;
};

}  // namespace cistern::config
