#include "cache-agent/store/prepare.hpp"

#include <cerrno>
#include <charconv>

#include <sys/stat.h>
#include <unistd.h>

namespace cistern::store {
namespace {

constexpr mode_t kPrivate = 0700;

Result<struct stat> state_of_entry(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail(system_error(errno, "look at " + path));
  return info;
}

Result<void> give(const std::string& path, const struct stat& info, Owner owner) {
  if (Owner{info.st_uid, info.st_gid} == owner) return {};
  if (::lchown(path.c_str(), owner.user, owner.group) == 0) return {};
  return fail(system_error(errno, fmt::format("give {} to {}:{}", path, owner.user, owner.group)));
}

Result<void> give_contents(const std::string& folder, Owner owner) {
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(folder, error);
  for (const std::filesystem::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
    const std::string path = at->path().string();
    const auto info = state_of_entry(path);
    if (!info) return fail(info.error());
    if (auto given = give(path, *info, owner); !given) return given;
  }
  if (error) return fail(system_error(error.value(), "read " + folder));
  return {};
}

}  // namespace

Result<Owner> parse_owner(std::string_view text) {
  Owner owner;
  const auto colon = std::min(text.find(':'), text.size());
  const auto read = [](std::string_view digits, unsigned& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    // The highest number means "leave it" to chown.
    return error == std::errc() && end == digits.data() + digits.size() && out != static_cast<unsigned>(-1);
  };
  if (colon < text.size() && read(text.substr(0, colon), owner.user) && read(text.substr(colon + 1), owner.group)) return owner;
  return fail(ErrorCode::kInvalid, "\"{}\" is not an owner; write the numbers of a user and a group, as in \"65532:65532\"", text);
}

Result<void> prepare_folder(const std::filesystem::path& path, Owner owner) {
  const std::string folder = path.string();
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(system_error(error.value(), "make " + folder));
  const auto info = state_of_entry(folder);
  if (!info) return fail(info.error());
  if (!S_ISDIR(info->st_mode)) return fail(ErrorCode::kInvalid, "{} is not a folder; remove it, or name another", folder);
  const bool closed = (info->st_mode & 07777) == kPrivate;
  if (closed && Owner{info->st_uid, info->st_gid} == owner) return {};
  // Before anything is given away, so that nobody else looks in or puts something in meanwhile.
  if (!closed && ::chmod(folder.c_str(), kPrivate) != 0) return fail(system_error(errno, "close " + folder + " to others"));
  if (auto given = give_contents(folder, owner); !given) return given;
  return give(folder, *info, owner);
}

}  // namespace cistern::store
