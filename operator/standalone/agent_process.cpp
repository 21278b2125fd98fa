#include "operator/standalone/agent_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/units.hpp"

namespace cistern::standalone {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{200};
constexpr milliseconds kLastBackoff{10'000};
constexpr milliseconds kStable{10'000};

// In the child, between fork and exec: only what is safe after a fork of a process with threads. Writes errno to `report` on failure.
[[noreturn]] void become(char* const* arguments, const char* log, pid_t parent, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // The parent may have gone before prctl took effect.
  if (::getppid() != parent) ::_exit(1);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int in = ::open("/dev/null", O_RDONLY);
  if (in >= 0) ::dup2(in, 0);
  if (log[0] != '\0') {
    const int out = ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (out >= 0) {
      ::dup2(out, 1);
      ::dup2(out, 2);
    }
  }
  ::execv(arguments[0], arguments);
  const int number = errno;
  [[maybe_unused]] const auto written = ::write(report, &number, sizeof number);
  ::_exit(127);
}

}  // namespace

AgentProcess::AgentProcess(const Clock& clock, std::vector<std::string> command, std::filesystem::path log)
    : clock_(clock), command_(std::move(command)), log_(std::move(log)), backoff_(kFirstBackoff) {}

AgentProcess::~AgentProcess() {
  if (pid_ <= 0) return;
  kill();
  ::waitpid(pid_, nullptr, 0);
}

Result<void> AgentProcess::start() {
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return fail(system_error(errno, "make a pipe"));
  std::vector<char*> arguments;
  for (auto& argument : command_) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const std::string log = log_.string();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(arguments.data(), log.c_str(), parent, report[1]);
  const int fork_error = errno;
  ::close(report[1]);
  int number = 0;
  const auto told = pid_ > 0 ? ::read(report[0], &number, sizeof number) : 0;
  ::close(report[0]);
  if (pid_ < 0) return fail(system_error(fork_error, "start " + command_[0]));
  if (told == static_cast<ssize_t>(sizeof number)) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    return fail(system_error(number, "start " + command_[0]));
  }
  started_ = clock_.steady();
  start_at_.reset();
  return {};
}

std::string AgentProcess::reap() {
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return "";
  pid_ = -1;
  return WIFSIGNALED(status) ? fmt::format("ended by signal {}", WTERMSIG(status)) : fmt::format("ended with code {}", WEXITSTATUS(status));
}

std::optional<std::string> AgentProcess::poll() {
  if (pid_ > 0) {
    const std::string how = reap();
    if (how.empty() || stopping_) return std::nullopt;
    if (clock_.steady() - started_ >= kStable) backoff_ = kFirstBackoff;
    start_at_ = clock_.steady() + backoff_;
    const auto wait = backoff_;
    backoff_ = std::min(backoff_ * 2, kLastBackoff);
    return fmt::format("cache-agent {}; starting it again in {}{}", how, to_string(wait), log_.empty() ? "" : "; see " + log_.string());
  }
  if (stopping_ || !start_at_ || clock_.steady() < *start_at_) return std::nullopt;
  ++restarts_;
  if (auto started = start(); !started) {
    start_at_ = clock_.steady() + backoff_;
    return started.error().message;
  }
  return fmt::format("cache-agent started again (process {})", pid_);
}

void AgentProcess::stop() {
  stopping_ = true;
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

void AgentProcess::kill() {
  stopping_ = true;
  if (pid_ > 0 && ::kill(-pid_, SIGKILL) != 0) ::kill(pid_, SIGKILL);
}

}  // namespace cistern::standalone
