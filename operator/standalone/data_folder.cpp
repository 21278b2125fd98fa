#include "operator/standalone/data_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "operator/render/files.hpp"
#include "operator/render/runtime.hpp"

namespace cistern::standalone {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

Result<void> write_and_sync(int file, const std::string& content, const fs::path& path) {
  std::size_t written = 0;
  while (written < content.size()) {
    const auto count = ::write(file, content.data() + written, content.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(system_error(errno, "write " + path.string()));
    written += static_cast<std::size_t>(count);
  }
  if (::fsync(file) != 0) return fail(system_error(errno, "sync " + path.string()));
  return {};
}

}  // namespace

Result<void> write_atomically(const fs::path& file, const std::string& content) {
  const fs::path aside = file.string() + ".new";
  const int descriptor = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return fail(system_error(errno, "write " + aside.string()));
  auto written = write_and_sync(descriptor, content, aside);
  ::close(descriptor);
  if (!written) {
    ::unlink(aside.c_str());
    return written;
  }
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail(system_error(errno, "rename to " + file.string()));
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (const int parent = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); parent >= 0) {
    ::fsync(parent);
    ::close(parent);
  }
  return {};
}

Result<DataFolder> DataFolder::open(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail(system_error(error.value(), "make the data folder " + path.string()).in("choose another with --data"));
  const fs::path absolute = fs::absolute(path).lexically_normal();
  const fs::path lock_file = absolute / ".lock";
  const int lock = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return fail(system_error(errno, "write to the data folder " + absolute.string()).in("choose another with --data"));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const auto owner = content_of(lock_file).value_or("");
    ::close(lock);
    return fail(ErrorCode::kUnavailable,
                "{} is in use by another cistern-operator (process {}); stop that one, or choose another folder with --data",
                absolute.string(), owner.substr(0, owner.find('\n')));
  }
  const std::string self = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, self.data(), self.size(), 0) < 0) {
    const int number = errno;
    ::close(lock);
    return fail(system_error(number, "write to the data folder " + absolute.string()).in("choose another with --data"));
  }
  return DataFolder(absolute, lock);
}

DataFolder::DataFolder(DataFolder&& other) noexcept : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<void> DataFolder::write(const std::map<std::string, std::string>& files) {
  for (const auto& [name, content] : files) {
    if (name == render::kAgentFile) continue;
    if (auto written = write_one(name, content); !written) return written;
  }
  remove_stale(files);
  if (const auto agent = files.find(render::kAgentFile); agent != files.end()) return write_one(agent->first, agent->second);
  return {};
}

Result<void> DataFolder::write_one(const std::string& name, const std::string& content) {
  const fs::path file = path_ / name;
  if (content_of(file) == content) return {};
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) return fail(system_error(error.value(), "make " + file.parent_path().string()));
  return write_atomically(file, content);
}

void DataFolder::remove_stale(const std::map<std::string, std::string>& files) {
  std::error_code error;
  for (const auto& folder : fs::directory_iterator(path_ / "certs.d", error)) {
    const fs::path file = folder.path() / "hosts.toml";
    if (files.contains(fs::path("certs.d") / folder.path().filename() / "hosts.toml")) continue;
    const auto content = content_of(file);
    if (!content || !content->starts_with(render::kMark)) continue;
    std::error_code ignored;  // a folder that holds something else stays
    fs::remove(file, ignored);
    fs::remove(folder.path(), ignored);
  }
}

Result<void> check_secret_modes(const fs::path& data) {
  std::error_code error;
  for (const auto& folder : fs::directory_iterator(data / "credentials", error)) {
    std::error_code unreadable;
    for (const auto& file : fs::directory_iterator(folder.path(), unreadable)) {
      struct stat info {};
      if (file.path().filename() == "ca.crt" || ::stat(file.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      if ((info.st_mode & 077) == 0) continue;
      return fail(ErrorCode::kInvalid, "{0} may be read by others (mode {1:04o}); run: chmod 600 {0}", file.path().string(),
                  info.st_mode & 07777);
    }
  }
  return {};
}

}  // namespace cistern::standalone
