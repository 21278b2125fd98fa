// Folders, files and ports for one test, and where the project's own files are. Every function may be called from any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace cistern::fakes {

// In memory (where the machine has a file system for that) a test that does not measure the disk need not wait for it.
enum class Medium { kDisk, kMemory };

// A fresh folder, removed with everything in it at the end.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(Medium medium = Medium::kDisk);
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  // Makes that file, or writes over what it is, in place; gives its path.
  std::filesystem::path write(const std::string& name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

// By rename, so that a reader sees the old or the new content.
void write_file(const std::filesystem::path& path, std::string_view content);
// Empty if it can not be read.
std::string read_file(const std::filesystem::path& path);

// The first of `count` ports in a row on which nobody listens at that address, below those that the kernel gives to outgoing connections.
// No test gets one of them while this process lives.
unsigned short free_port(const std::string& host = "127.0.0.1", int count = 1);

// The root of this checkout.
std::filesystem::path source_folder();
// A program of this build; from CISTERN_BIN_DIR if that is in the environment.
std::string program(const std::string& name);

}  // namespace cistern::fakes
