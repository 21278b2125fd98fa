// The bearer token of requests: fixed, or from a file that is replaced while we run (kubelet renews bound service account tokens). Private
// to this folder.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>

#include "base/clock.hpp"

namespace cistern::kube {

// Thread-safe.
class TokenSource {
 public:
  // With a file, `token` is what is used until it has been read.
  TokenSource(std::string token, std::filesystem::path file) : token_(std::move(token)), file_(std::move(file)) {}

  // The file is read again when it has changed, and at least once a minute; one that can not be read is logged, and the token before it
  // stays. A stat each time.
  std::string current(SteadyTime now);
  // After the server refused `used`: reads the file at once. Whether there is another one now.
  bool renew(const std::string& used, SteadyTime now);

 private:
  struct Seen {
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t changed = 0;  // nanoseconds
    bool operator==(const Seen&) const = default;
  };
  static Seen look(const std::filesystem::path& file);
  void read(SteadyTime now);

  std::mutex mutex_;
  std::string token_;
  const std::filesystem::path file_;
  Seen seen_;
  SteadyTime read_at_ = SteadyTime::min();
  bool failing_ = false;  // has been logged
};

}  // namespace cistern::kube
