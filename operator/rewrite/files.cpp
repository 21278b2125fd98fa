#include "operator/rewrite/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

namespace cistern::rewrite {
namespace {

namespace fs = std::filesystem;

Result<void> write_all(int descriptor, const std::string& content, const std::string& name) {
  for (std::size_t done = 0; done < content.size();) {
    const auto written = ::write(descriptor, content.data() + done, content.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(system_error(errno, "write " + name));
    done += static_cast<std::size_t>(written);
  }
  return ::fsync(descriptor) == 0 ? Result<void>() : fail(system_error(errno, "write " + name));
}

}  // namespace

Result<std::string> read(const fs::path& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::error_code error;
  if (fs::is_directory(file, error)) return fail(ErrorCode::kInvalid, "{} is a folder; name the files in it", file.string());
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) return fail(system_error(errno, "read " + file.string()));
  return text;
}

Result<void> replace(const fs::path& file, const std::string& content) {
  std::error_code error;
  const auto target = fs::canonical(file, error);
  if (error) return fail(system_error(error.value(), "find " + file.string()));
  struct stat known {};
  if (::stat(target.c_str(), &known) != 0) return fail(system_error(errno, "look at " + target.string()));
  std::string aside = (target.parent_path() / ("." + target.filename().string() + ".XXXXXX")).string();
  const int descriptor = ::mkostemp(aside.data(), O_CLOEXEC);
  if (descriptor < 0) return fail(system_error(errno, "make a file beside " + target.string()));
  auto written = write_all(descriptor, content, aside);
  // Ours, if we may not give it away.
  if (::fchown(descriptor, known.st_uid, known.st_gid) != 0) errno = 0;
  if (written && ::fchmod(descriptor, known.st_mode & 07777) != 0) written = fail(system_error(errno, "set the mode of " + aside));
  ::close(descriptor);
  if (written && ::rename(aside.c_str(), target.c_str()) != 0) written = fail(system_error(errno, "replace " + target.string()));
  if (!written) ::unlink(aside.c_str());
  return written;
}

fs::path place_below(const fs::path& folder, const fs::path& file) {
  const auto path = file.lexically_normal();
  const bool below = path.is_relative() && std::ranges::find(path, fs::path("..")) == path.end();
  return folder / (below ? path : path.filename());
}

}  // namespace cistern::rewrite
