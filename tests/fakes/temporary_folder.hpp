// A folder that is gone at the end of the test.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace cistern::fakes {

class TemporaryFolder {
 public:
  // In memory where the machine has a file system for that: tests that do not measure the disk need not wait for it.
  TemporaryFolder() {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code ignored;
    const auto parent = std::filesystem::is_directory(memory, ignored) && ::access(memory.c_str(), W_OK) == 0
                            ? memory
                            : std::filesystem::temp_directory_path();
    std::string name = parent / "cistern-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace cistern::fakes
