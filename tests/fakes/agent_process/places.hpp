// Folders and ports for one test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace cistern::fakes {

// A fresh folder, removed with everything in it at the end.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A port on which nobody listens at that address, below those that the kernel gives to outgoing connections. Never the same twice in one
// process.
unsigned short free_port(const std::string& host = "127.0.0.1");

// By rename, so that a reader sees the old or the new content.
void write_file(const std::filesystem::path& path, std::string_view content);
// Empty if it can not be read.
std::string read_file(const std::filesystem::path& path);

}  // namespace cistern::fakes
