#include "cache-agent/store/disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>

namespace cistern::store {
namespace {

Failure failed(int error_number, std::string_view call, std::string_view path) {
  Error error = system_error(error_number, fmt::format("{} {}", call, path));
  if (error_number == ENOENT) error.code = ErrorCode::kNotFound;
  return fail(std::move(error));
}

// An operation on an open file has no path at hand; the kernel knows it.
Failure failed(int error_number, std::string_view call, const File& file) {
  char path[512];
  const ssize_t length = ::readlink(fmt::format("/proc/self/fd/{}", file.descriptor()).c_str(), path, sizeof path);
  return failed(error_number, call, length > 0 ? std::string_view(path, static_cast<std::size_t>(length)) : "(unknown file)");
}

class PosixDisk final : public Disk {
 public:
  Result<std::shared_ptr<const File>> open(const std::string& path, Mode mode) override {
    int flags = O_CLOEXEC;
    if (mode == Mode::kRead) flags |= O_RDONLY;
    if (mode == Mode::kReadWrite) flags |= O_RDWR;
    if (mode == Mode::kCreate) flags |= O_RDWR | O_CREAT | O_EXCL;
    const int descriptor = ::open(path.c_str(), flags, 0600);
    if (descriptor < 0) return failed(errno, "open", path);
    return std::make_shared<const File>(descriptor);
  }

  Result<void> write_at(const File& file, std::uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(file.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed(errno, "write", file);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<std::size_t> read_at(const File& file, std::uint64_t offset, std::span<std::byte> bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = ::pread(file.descriptor(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed(errno, "read", file);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<std::uint64_t> size(const File& file) override {
    struct stat status {};
    if (::fstat(file.descriptor(), &status) != 0) return failed(errno, "stat", file);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<std::uint64_t> size_at(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return failed(errno, "stat", path);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<void> truncate(const File& file, std::uint64_t size) override {
    if (::ftruncate(file.descriptor(), static_cast<off_t>(size)) != 0) return failed(errno, "truncate", file);
    return {};
  }

  Result<void> allocate(const File& file, std::uint64_t size) override {
    int result = 0;
    do {
      result = ::fallocate(file.descriptor(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS) return failed(errno, "allocate", file);
    return {};
  }

  Result<void> sync(const File& file) override {
    if (::fdatasync(file.descriptor()) != 0) return failed(errno, "fdatasync", file);
    return {};
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed(errno, "rename", from);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return failed(errno, "unlink", path);
    return {};
  }

  Result<void> sync_folder(const std::string& path) override {
    const File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.descriptor() < 0) return failed(errno, "open", path);
    if (::fsync(folder.descriptor()) != 0) return failed(errno, "fsync", path);
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder) return failed(errno, "open", path);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(folder.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return failed(errno, "list", path);
    return names;
  }

  Result<Space> space(const std::string& path) override {
    struct statvfs status {};
    if (::statvfs(path.c_str(), &status) != 0) return failed(errno, "statvfs", path);
    return Space{status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize};
  }
};

}  // namespace

std::unique_ptr<Disk> make_disk() { return std::make_unique<PosixDisk>(); }

}  // namespace cistern::store
