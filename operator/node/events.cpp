#include "operator/node/events.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace cistern::node {
namespace {

using std::chrono::milliseconds;

// An editor's or a script's several steps are one change.
constexpr milliseconds kGather{50};

void drain(int descriptor) {
  std::array<char, 8192> buffer{};
  while (::read(descriptor, buffer.data(), buffer.size()) > 0) {
  }
}

}  // namespace

Result<Events> Events::open() {
  sigset_t set{};
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT}) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const int wakes = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  // Without inotify (its limits are the host's) the periodic check remains.
  const int files = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (wakes < 0 || signals < 0) return fail(system_error(errno, "wait for signals"));
  return Events(wakes, signals, files);
}

Events::Events(Events&& other) noexcept
    : wakes_(std::exchange(other.wakes_, -1)),
      signals_(std::exchange(other.signals_, -1)),
      files_(std::exchange(other.files_, -1)),
      watched_(std::move(other.watched_)) {}

Events::~Events() {
  for (const int descriptor : {wakes_, signals_, files_}) {
    if (descriptor >= 0) ::close(descriptor);
  }
}

void Events::watch(const std::vector<std::filesystem::path>& folders) {
  if (files_ < 0) return;
  std::map<std::filesystem::path, int> next;
  for (const auto& folder : folders) {
    // Adding one again gives the same number; one that was deleted and made again gives another.
    const int number = ::inotify_add_watch(files_, folder.c_str(),
                                           IN_CLOSE_WRITE | IN_MOVE | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_ONLYDIR);
    if (number >= 0) next[folder] = number;
  }
  for (const auto& [folder, number] : watched_) {
    const bool kept = std::ranges::any_of(next, [number = number](const auto& entry) { return entry.second == number; });
    if (!kept) ::inotify_rm_watch(files_, number);
  }
  watched_ = std::move(next);
}

void Events::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wakes_, &one, sizeof one);
}

bool Events::wait(std::chrono::steady_clock::time_point until) {
  std::array<pollfd, 3> waits = {pollfd{wakes_, POLLIN, 0}, pollfd{signals_, POLLIN, 0}, pollfd{files_, POLLIN, 0}};
  const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
  const int ready = ::poll(waits.data(), waits.size(), static_cast<int>(std::clamp<long>(left.count(), 0, 3'600'000)));
  if (ready > 0 && waits[1].revents == 0) ::poll(&waits[1], 1, kGather.count());
  drain(wakes_);
  if (files_ >= 0) drain(files_);
  signalfd_siginfo signal{};
  return ::read(signals_, &signal, sizeof signal) == sizeof signal;
}

}  // namespace cistern::node
