// One cache-agent as a child process, started again when it ends. Main thread only; the caller blocks SIGCHLD and calls poll() when it
// comes, or now and then.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace cistern::standalone {

class AgentProcess {
 public:
  // `log`: where the child's output goes; empty: where ours goes.
  AgentProcess(const Clock& clock, std::vector<std::string> command, std::filesystem::path log);
  // Kills the child, if there is one.
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  // Starts it in its own process group (so that Ctrl-C reaches only us) with SIGTERM on our death. The error is that of exec.
  Result<void> start();

  // Notices its end, and starts it again once the backoff has passed: 0.2 s, doubled up to 10 s, from the beginning after it ran for
  // 10 s. A message if something happened that a person should know.
  std::optional<std::string> poll();

  // SIGTERM, and no more starts; poll() notices the end.
  void stop();
  void kill();
  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  unsigned restarts() const { return restarts_; }

 private:
  std::string reap();

  const Clock& clock_;
  std::vector<std::string> command_;
  std::filesystem::path log_;
  pid_t pid_ = -1;
  bool stopping_ = false;
  unsigned restarts_ = 0;
  std::chrono::milliseconds backoff_;
  SteadyTime started_{};
  std::optional<SteadyTime> start_at_;
};

}  // namespace cistern::standalone
