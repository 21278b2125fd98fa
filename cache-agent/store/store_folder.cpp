#include "cache-agent/store/store_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace cistern::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVersion = "1";

Result<void> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  const int error = errno;
  struct stat status {};
  if (error == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  if (error == EEXIST || error == ENOTDIR) {
    return fail(ErrorCode::kInvalid, "{} is not a folder; name one that cistern may use for its store alone", path);
  }
  Error cause = system_error(error, fmt::format("make the folder {}", path));
  if (error == EACCES || error == EPERM || error == EROFS) cause.message += "; the store needs a folder that its user may write to";
  return fail(std::move(cause));
}

Result<void> sync_folder(const std::string& path) {
  const File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.descriptor() < 0 || ::fsync(folder.descriptor()) != 0) return fail(system_error(errno, fmt::format("fsync {}", path)));
  return {};
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

Result<std::unique_ptr<File>> take_lock(const std::string& path) {
  const std::string name = path + "/LOCK";
  auto lock = std::make_unique<File>(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock->descriptor() < 0) {
    Error cause = system_error(errno, fmt::format("open {}", name));
    if (errno == EACCES || errno == EROFS) cause.message += "; the store needs a folder that its user may write to";
    return fail(std::move(cause));
  }
  if (::flock(lock->descriptor(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(system_error(errno, fmt::format("lock {}", name)));
    const std::string holder = first_line(name);
    return fail(ErrorCode::kUnavailable, "{} is in use by process {}; stop it, or name another folder", path,
                holder.empty() ? "(unknown)" : holder);
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock->descriptor(), 0) != 0 || ::pwrite(lock->descriptor(), pid.data(), pid.size(), 0) < 0) {
    return fail(system_error(errno, fmt::format("write {}", name)));
  }
  return lock;
}

Result<void> check_version(const std::string& path) {
  const std::string version = first_line(path + "/VERSION");
  if (version == kVersion) return {};
  return fail(ErrorCode::kInvalid,
              "{} has the store format '{}', this program knows '{}'; use the program that made it, or remove the folder", path, version,
              kVersion);
}

Result<void> write_version(const std::string& path) {
  const std::string name = path + "/VERSION";
  const File file(::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.descriptor() < 0) return fail(system_error(errno, fmt::format("open {}", name)));
  const std::string text = fmt::format("{}\n", kVersion);
  if (::write(file.descriptor(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file.descriptor()) != 0) {
    return fail(system_error(errno, fmt::format("write {}", name)));
  }
  return sync_folder(path);
}

// A folder with something of someone else's in it is not taken.
Result<void> check_empty(const std::string& path) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename();
    if (name == "LOCK" || name == "blobs" || name == "tmp" || name == "VERSION" || name == "lost+found") continue;
    return fail(ErrorCode::kInvalid, "{} is not a store's folder: there is {} in it; name an empty folder", path, name);
  }
  if (error) return fail(system_error(error.value(), fmt::format("list {}", path)));
  return {};
}

Result<void> make_layout(const std::string& path) {
  if (auto empty = check_empty(path); !empty) return empty;
  if (auto made = make_folder(path + "/blobs"); !made) return made;
  if (auto made = make_folder(path + "/tmp"); !made) return made;
  for (int i = 0; i < 256; ++i) {
    if (auto made = make_folder(fmt::format("{}/blobs/{:02x}", path, i)); !made) return made;
  }
  if (auto synced = sync_folder(path + "/blobs"); !synced) return synced;
  return write_version(path);
}

Result<void> empty_folder(const std::string& path) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    std::error_code ignored;
    fs::remove_all(entry.path(), ignored);
  }
  if (error) return fail(system_error(error.value(), fmt::format("list {}", path)));
  return {};
}

}  // namespace

Result<StoreFolder> StoreFolder::open(const fs::path& path) {
  std::error_code error;
  const std::string text = fs::absolute(path, error).lexically_normal();
  fs::create_directories(fs::path(text).parent_path(), error);  // what goes wrong is seen by the next
  if (auto made = make_folder(text); !made) return fail(std::move(made.error()));
  auto lock = take_lock(text);
  if (!lock) return fail(std::move(lock.error()));
  const bool known = fs::exists(text + "/VERSION", error) && fs::file_size(text + "/VERSION", error) > 0;
  const Result<void> ready = known ? check_version(text) : make_layout(text);
  if (!ready) return fail(ready.error());
  if (auto emptied = empty_folder(text + "/tmp"); !emptied) return fail(std::move(emptied.error()));
  return StoreFolder(text, std::move(*lock));
}

Result<StoreFolder> StoreFolder::open_existing(const fs::path& path) {
  std::error_code error;
  const std::string text = fs::absolute(path, error).lexically_normal();
  if (!fs::exists(text + "/VERSION", error)) return fail(ErrorCode::kNotFound, "{} is not a store's folder", text);
  auto lock = take_lock(text);
  if (!lock) return fail(std::move(lock.error()));
  if (auto checked = check_version(text); !checked) return fail(std::move(checked.error()));
  return StoreFolder(text, std::move(*lock));
}

}  // namespace cistern::store
