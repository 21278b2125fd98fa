// Whether files have changed, by asking again: works for files that are replaced by rename, for the symbolic links by which Kubernetes
// swaps a mounted Secret, on every file system, and for files that are not there yet. One thread at a time; blocks on the disk.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace cistern::config {

class FileWatch {
 public:
  // Watches exactly these from now on. A file that was watched before keeps what was last seen of it, so that a change during a
  // reload is not lost.
  void watch(const std::vector<std::string>& files);

  // Whether any file's inode, size or time differs from what was last seen; what is there now counts as seen. Call this before
  // reading, not after.
  bool changed();

 private:
  std::map<std::string, std::string> seen_;  // path → what stat told; empty: not there
};

}  // namespace cistern::config
