#include "operator/node/storage.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace cistern::node {

Result<void> prepare_storage(const fs::path& root, const std::string& path) {
  const auto resolved = resolve(root, fs::path(path) / ".");
  if (!resolved) return fail(resolved.error());
  const fs::path folder = root / resolved->relative_path();
  std::error_code error;
  fs::path nearest = folder;
  while (nearest != root && !fs::exists(nearest, error)) nearest = nearest.parent_path();
  // Folders that were made in the container itself would help nobody.
  if (nearest == root) return fail(ErrorCode::kUnavailable, "{}: no part of it is mounted below {}", path, root.string());
  const bool made = fs::create_directories(folder, error);
  // A folder on the way to a mount is the container's own, which is read-only.
  if (error == std::errc::read_only_file_system) {
    return fail(ErrorCode::kUnavailable, "{}: no part of it is mounted below {}, or it is read-only there", path, root.string());
  }
  if (error) return fail(system_error(error.value(), "make the cache folder " + folder.string()));
  if (!made) return {};
  if (::chmod(folder.c_str(), 0750) != 0 || ::chown(folder.c_str(), kAgentUser, kAgentUser) != 0) {
    const int number = errno;
    fs::remove(folder, error);
    return fail(system_error(number, "give the cache folder " + folder.string() + " to the agents' user"));
  }
  return {};
}

Result<void> remove_storage(const fs::path& root, const std::string& path) {
  const auto resolved = resolve(root, path);
  if (!resolved) return fail(resolved.error());
  const fs::path folder = root / resolved->relative_path();
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0)
    return errno == ENOENT ? Result<void>() : fail(system_error(errno, "look at " + folder.string()));
  if (!S_ISDIR(info.st_mode) || info.st_uid != kAgentUser) {
    return fail(ErrorCode::kForbidden, "{} is no folder of the agents' user (uid {}); it stays", folder.string(), kAgentUser);
  }
  std::error_code error;
  fs::remove_all(folder, error);
  return error ? fail(system_error(error.value(), "remove the cache folder " + folder.string())) : Result<void>();
}

}  // namespace cistern::node
