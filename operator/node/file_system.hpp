// What the node program does to the host's files, as single steps that either happen or do not. An interface, so that tests can fail each
// of them, or end the program between any two. Blocks on the disk; any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace cistern::node {

namespace fs = std::filesystem;

struct Attributes {
  mode_t mode = 0644;
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<std::int64_t> modified = std::nullopt;  // nanoseconds since the epoch; nothing: now
  std::map<std::string, std::string> extended = {};     // xattrs, SELinux labels and ACLs among them
};

enum class Kind { kFile, kFolder, kLink, kOther };

struct Entry {
  Kind kind = Kind::kFile;
  Attributes attributes;
  std::uint64_t inode = 0;
  std::string target;  // of a link
};

// Paths are real ones. Links are never followed in the last element. Errors name the path.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Empty if nothing is there.
  virtual Result<std::optional<Entry>> look(const fs::path& path) = 0;
  // Of a file, not of what a link leads to.
  virtual Result<std::string> read(const fs::path& path) = 0;

  // A new file, as a whole and on the disk; kConflict if something is there. What fails leaves nothing behind.
  virtual Result<void> write(const fs::path& path, const std::string& content, const Attributes& attributes) = 0;
  virtual Result<void> make_link(const fs::path& path, const std::string& target) = 0;
  // Another name for the same file (or symbolic link): costs no space, keeps everything.
  virtual Result<void> name_again(const fs::path& path, const fs::path& name) = 0;
  virtual Result<void> rename(const fs::path& from, const fs::path& to) = 0;
  virtual Result<void> remove(const fs::path& path) = 0;
  virtual Result<void> make_folder(const fs::path& path) = 0;
  // kConflict if it is not empty.
  virtual Result<void> remove_folder(const fs::path& path) = 0;
  virtual Result<void> sync_folder(const fs::path& path) = 0;
};

// The machine's.
class RealFileSystem final : public FileSystem {
 public:
  Result<std::optional<Entry>> look(const fs::path& path) override;
  Result<std::string> read(const fs::path& path) override;
  Result<void> write(const fs::path& path, const std::string& content, const Attributes& attributes) override;
  Result<void> make_link(const fs::path& path, const std::string& target) override;
  Result<void> name_again(const fs::path& path, const fs::path& name) override;
  Result<void> rename(const fs::path& from, const fs::path& to) override;
  Result<void> remove(const fs::path& path) override;
  Result<void> make_folder(const fs::path& path) override;
  Result<void> remove_folder(const fs::path& path) override;
  Result<void> sync_folder(const fs::path& path) override;
};

// Where a path of the host leads, as the host itself sees it: symbolic links are followed below `root`, an absolute one from `root` again,
// so that it does not matter where the host's file system is mounted. The last element is not followed; what does not exist stays as
// written. kInvalid for a loop.
Result<fs::path> resolve(const fs::path& root, const fs::path& path);

}  // namespace cistern::node
