#include "operator/node/file_system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>

namespace cistern::node {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr int kMostLinks = 40;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  bool ok() const { return number_ >= 0; }

 private:
  int number_;
};

Failure failed(const char* what, const fs::path& path) {
  const int number = errno;
  auto error = system_error(number, fmt::format("{} {}", what, path.string()));
  if (number == EEXIST || number == ENOTEMPTY) error.code = ErrorCode::kConflict;
  if (number == EROFS) error.message += "; the file system is mounted read-only";
  return fail(std::move(error));
}

// Of a file; a file system without them has none.
std::map<std::string, std::string> extended_of(const fs::path& path) {
  std::map<std::string, std::string> found;
  std::array<char, 65536> names{};
  const auto size = ::llistxattr(path.c_str(), names.data(), names.size());
  for (const char* name = names.data(); size > 0 && name < names.data() + size; name += std::string_view(name).size() + 1) {
    std::array<char, 65536> value{};
    const auto length = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    if (length >= 0) found[name] = std::string(value.data(), static_cast<std::size_t>(length));
  }
  return found;
}

Result<void> write_all(int file, const std::string& content, const fs::path& path) {
  for (std::size_t written = 0; written < content.size();) {
    const auto count = ::write(file, content.data() + written, content.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("write", path);
    written += static_cast<std::size_t>(count);
  }
  return {};
}

Result<void> set_attributes(int file, const Attributes& wanted, const fs::path& path) {
  struct stat now {};
  if (::fstat(file, &now) != 0) return failed("look at", path);
  if ((now.st_uid != wanted.uid || now.st_gid != wanted.gid) && ::fchown(file, wanted.uid, wanted.gid) != 0) {
    return failed("set the owner of", path);
  }
  if (::fchmod(file, wanted.mode & 07777) != 0) return failed("set the mode of", path);
  for (const auto& [name, value] : wanted.extended) {
    // The mode above may have become an ACL's mask, so these come after it. A label that the policy sets by itself may not be set by us.
    if (::fsetxattr(file, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP && errno != EPERM && errno != EACCES) {
      return failed(("set " + name + " of").c_str(), path);
    }
  }
  if (!wanted.modified) return {};
  const std::array<timespec, 2> times = {timespec{0, UTIME_OMIT},
                                         timespec{*wanted.modified / kNanoseconds, *wanted.modified % kNanoseconds}};
  return ::futimens(file, times.data()) == 0 ? Result<void>() : failed("set the time of", path);
}

}  // namespace

Result<std::optional<Entry>> RealFileSystem::look(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<Entry>();
    return failed("look at", path);
  }
  Entry entry;
  entry.kind = S_ISREG(info.st_mode)   ? Kind::kFile
               : S_ISDIR(info.st_mode) ? Kind::kFolder
               : S_ISLNK(info.st_mode) ? Kind::kLink
                                       : Kind::kOther;
  entry.inode = info.st_ino;
  entry.attributes = {info.st_mode & 07777, info.st_uid, info.st_gid, info.st_mtim.tv_sec * kNanoseconds + info.st_mtim.tv_nsec, {}};
  if (entry.kind == Kind::kFile) entry.attributes.extended = extended_of(path);
  if (entry.kind == Kind::kLink) {
    std::error_code error;
    entry.target = fs::read_symlink(path, error).string();
  }
  return std::optional(std::move(entry));
}

Result<std::string> RealFileSystem::read(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.ok()) {
    if (errno == ENOENT) return fail(ErrorCode::kNotFound, "{} is not there", path.string());
    return failed("read", path);
  }
  std::string content;
  std::array<char, 16384> buffer{};
  while (true) {
    const auto count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("read", path);
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Result<void> RealFileSystem::write(const fs::path& path, const std::string& content, const Attributes& attributes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.ok()) return failed("write", path);
  auto written = write_all(file.get(), content, path);
  if (written) written = set_attributes(file.get(), attributes, path);
  if (written && ::fsync(file.get()) != 0) written = failed("sync", path);
  if (!written) ::unlink(path.c_str());
  return written;
}

Result<void> RealFileSystem::make_link(const fs::path& path, const std::string& target) {
  return ::symlink(target.c_str(), path.c_str()) == 0 ? Result<void>() : failed("make the link", path);
}

Result<void> RealFileSystem::name_again(const fs::path& path, const fs::path& name) {
  return ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, name.c_str(), 0) == 0 ? Result<void>() : failed("keep aside", path);
}

Result<void> RealFileSystem::rename(const fs::path& from, const fs::path& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? Result<void>() : failed("rename to", to);
}

Result<void> RealFileSystem::remove(const fs::path& path) { return ::unlink(path.c_str()) == 0 ? Result<void>() : failed("remove", path); }

Result<void> RealFileSystem::make_folder(const fs::path& path) {
  return ::mkdir(path.c_str(), 0755) == 0 ? Result<void>() : failed("make the folder", path);
}

Result<void> RealFileSystem::remove_folder(const fs::path& path) {
  return ::rmdir(path.c_str()) == 0 ? Result<void>() : failed("remove the folder", path);
}

Result<void> RealFileSystem::sync_folder(const fs::path& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok()) return failed("open the folder", path);
  return ::fsync(folder.get()) == 0 ? Result<void>() : failed("sync the folder", path);
}

Result<fs::path> resolve(const fs::path& root, const fs::path& path) {
  std::deque<fs::path> left;
  for (const auto& part : path.relative_path()) left.push_back(part);
  fs::path at = "/";
  int links = 0;
  while (!left.empty()) {
    const fs::path part = left.front();
    left.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      at = at.parent_path();
      continue;
    }
    std::error_code error;
    const fs::path next = at / part;
    const fs::path real = root / next.relative_path();
    if (left.empty() || !fs::is_symlink(fs::symlink_status(real, error))) {
      at = next;
      continue;
    }
    if (++links > kMostLinks) return fail(ErrorCode::kInvalid, "{}: its symbolic links lead in a circle", path.string());
    const fs::path target = fs::read_symlink(real, error);
    if (error) return fail(system_error(error.value(), "follow " + next.string()));
    if (target.is_absolute()) at = "/";
    std::size_t index = 0;
    for (const auto& element : target.relative_path()) left.insert(left.begin() + static_cast<std::ptrdiff_t>(index++), element);
  }
  return at;
}

}  // namespace cistern::node
