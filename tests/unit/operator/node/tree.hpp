// A host's files in a temporary folder, and all that can be compared of them.
#pragma once

#include <sys/stat.h>

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "operator/node/keeper.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::node {

inline constexpr const char* kState = "/var/lib/cistern-node";

class Tree {
 public:
  Tree() { fs::create_directories(folder_.path() / "var/lib"); }
  const fs::path& root() const { return folder_.path(); }
  fs::path at(const std::string& path) const { return root() / fs::path(path).relative_path(); }

  void write(const std::string& path, const std::string& content, mode_t mode = 0644, std::int64_t second = 0) const {
    fs::create_directories(at(path).parent_path());
    std::ofstream(at(path), std::ios::binary) << content;
    ::chmod(at(path).c_str(), mode);
    if (second != 0) {
      const std::array<timespec, 2> times = {timespec{second, 0}, timespec{second, 123456789}};
      ::utimensat(AT_FDCWD, at(path).c_str(), times.data(), 0);
    }
  }
  void link(const std::string& path, const std::string& target) const {
    fs::create_directories(at(path).parent_path());
    fs::create_symlink(target, at(path));
  }
  std::string read(const std::string& path) const {
    std::ifstream in(at(path), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  bool exists(const std::string& path) const { return fs::exists(fs::symlink_status(at(path))); }

  // Kind, mode, owner, content or target, and of files their time; the state folder left out.
  std::map<std::string, std::string> snapshot(bool with_times = true) const {
    std::map<std::string, std::string> found;
    for (auto entry = fs::recursive_directory_iterator(root()); entry != fs::recursive_directory_iterator(); ++entry) {
      const auto path = "/" + entry->path().lexically_relative(root()).string();
      if (path == kState) {
        entry.disable_recursion_pending();
        continue;
      }
      struct stat info {};
      ::lstat(entry->path().c_str(), &info);
      std::string text = fmt::format("{:o} {}:{}", info.st_mode, info.st_uid, info.st_gid);
      if (S_ISREG(info.st_mode) && with_times) text += fmt::format(" {}.{}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
      if (S_ISREG(info.st_mode)) text += " " + read(path);
      if (S_ISLNK(info.st_mode)) text += " -> " + fs::read_symlink(entry->path()).string();
      found[path] = text;
    }
    return found;
  }

 private:
  fakes::TemporaryFolder folder_;
};

}  // namespace cistern::node
