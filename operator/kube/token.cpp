#include "operator/kube/token.hpp"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "base/error.hpp"

namespace cistern::kube {
namespace {

constexpr std::chrono::minutes kLongestAge{1};

}  // namespace

TokenSource::Seen TokenSource::look(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {found.st_ino, found.st_size, found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec};
}

std::string TokenSource::current(SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (!file_.empty() && (read_at_ == SteadyTime::min() || now - read_at_ >= kLongestAge || look(file_) != seen_)) read(now);
  return token_;
}

bool TokenSource::renew(const std::string& used, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (token_ == used && !file_.empty()) read(now);
  return token_ != used;
}

void TokenSource::read(SteadyTime now) {
  read_at_ = now;
  seen_ = look(file_);
  errno = 0;
  std::ifstream in(file_, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  if (in && !text.empty()) {
    token_ = std::move(text);
    failing_ = false;
    return;
  }
  if (!failing_) {
    const auto why = errno != 0 ? system_error(errno, "read").message : "it is empty";
    spdlog::warn("the API token's file can not be used, the token from before stays file={} reason=\"{}\"", file_.string(), why);
  }
  failing_ = true;
}

}  // namespace cistern::kube
