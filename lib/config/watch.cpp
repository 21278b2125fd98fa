#include "config/watch.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

namespace cistern::config {
namespace {

std::string state_of(const std::string& path) {
  struct stat info {};
  // Follows links: a swapped `..data` shows as another inode.
  if (::stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{} {} {} {}.{} {}.{}", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                     info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
}

}  // namespace

void FileWatch::watch(const std::vector<std::string>& files) {
  std::map<std::string, std::string> next;
  for (const auto& file : files) {
    const auto known = seen_.find(file);
    next[file] = known != seen_.end() ? known->second : state_of(file);
  }
  seen_ = std::move(next);
}

bool FileWatch::changed() {
  bool any = false;
  for (auto& [file, seen] : seen_) {
    auto now = state_of(file);
    if (now == seen) continue;
    seen = std::move(now);
    any = true;
  }
  return any;
}

}  // namespace cistern::config
