// The credential, certificate and key files that a configuration names. Used by load.cpp only.
#pragma once

#include <filesystem>
#include <map>
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
  // With `memory`, path below the folder → content, these are all the files that there are, and the disk is not looked at; it must outlive
  // this.
  explicit Files(const std::filesystem::path& folder, const std::map<std::string, std::string>* memory = nullptr);

  // Relative names are below the folder; lexically normal.
  std::filesystem::path absolute(const std::string& name) const;
  // kNotFound if it does not exist; at most 1 MiB.
  Result<std::string> read(const std::string& name);
  // Something that the hash covers and that is no file beside the configuration.
  void add_to_hash(std::string_view name, std::string_view content);

  // From the folder NAME, or if nothing is in it from the files NAME.username … beside. `hosts`: see to_credentials().
  Result<Credentials> read_credentials(const std::string& name, const std::vector<std::string>& hosts);
  Result<std::string> read_certificates(const std::string& name);

  // 16 hex digits over everything read so far.
  std::string hash() const;
  // Absolute paths of everything that was looked for, whether it was there or not.
  const std::vector<std::string>& looked_for() const { return looked_for_; }

 private:
  Result<std::string> content_of(const std::filesystem::path& path) const;
  Result<std::map<std::string, std::string>> read_credential_keys(const std::string& prefix);

  std::filesystem::path folder_;
  const std::map<std::string, std::string>* memory_;
  Sha256 hash_;
  std::vector<std::string> looked_for_;
};

}  // namespace cistern::config
