// The folder that standalone mode writes to. One process owns it at a time. Main thread only.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/error.hpp"

namespace cistern::standalone {

class DataFolder {
 public:
  // Makes the folder where it is missing, and locks it; kUnavailable if another process has it, kIo if it can not be written.
  static Result<DataFolder> open(const std::filesystem::path& path);
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  const std::filesystem::path& path() const { return path_; }

  // Files by path below the folder. Each is written aside, synced and renamed; one that is the same already is not touched, so that the
  // same policies cause no write. agent.yaml comes last. A hosts.toml of ours whose registry is gone is removed.
  Result<void> write(const std::map<std::string, std::string>& files);

 private:
  DataFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}
  Result<void> write_one(const std::string& name, const std::string& content);
  void remove_stale(const std::map<std::string, std::string>& files);

  std::filesystem::path path_;
  int lock_;
};

// Whether every secret in credentials/*/ is closed to others (mode 0600; ca.crt is no secret). The error says which is not, and the
// command that mends it.
Result<void> check_secret_modes(const std::filesystem::path& data);

// Writes a file as a whole or not at all.
Result<void> write_atomically(const std::filesystem::path& file, const std::string& content);

}  // namespace cistern::standalone
