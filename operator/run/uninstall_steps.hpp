// What the steps of an uninstallation share: the API server, the time that there is, what to say, and what could not be removed.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "operator/run/uninstall.hpp"

namespace cistern::run {

class UninstallSteps {
 public:
  using Say = std::function<void(const std::string&)>;
  UninstallSteps(kube::Client& client, const Clock& clock, const UninstallSettings& settings, const Say& say)
      : client_(client), clock_(clock), settings_(settings), say_(say), begun_(clock.steady()) {}

  kube::Client& client() { return client_; }
  const UninstallSettings& settings() const { return settings_; }
  const Clock& clock() const { return clock_; }
  void say(const std::string& line) const { say_(line); }
  const std::vector<std::string>& failures() const { return failures_; }

  // This part of all the time that there is has passed.
  bool passed(double part) const {
    return clock_.steady() - begun_ >= std::chrono::duration_cast<SteadyTime::duration>(settings_.timeout * part);
  }
  std::vector<kube::Json> list(const kube::Resource& resource, const kube::Selection& selection, const char* what);
  // "NAME on node NODE" of each; one that tells why if that is not known.
  std::vector<std::string> pods(const std::string& selector);

  // Again after a conflict or a passing trouble, while there is time. What is gone already is success.
  template <class Write>
  bool write(const std::string& what, const Write& attempt) {
    Error last;
    for (int i = 0; i < kTries && (i == 0 || !passed(1)); ++i) {
      const auto written = attempt();
      if (written || written.error().code == ErrorCode::kNotFound) return true;
      last = written.error();
      if (last.code == ErrorCode::kInvalid || last.code == ErrorCode::kForbidden) break;
      std::this_thread::sleep_for(kLook);
    }
    failures_.push_back(fmt::format("{}: {}", what, last.message));
    return false;
  }

  // Looks until nothing is left or this part of the time has passed, and says how many are left now and then; what is left in the end.
  std::vector<std::string> wait_until_gone(double part, const char* what, const std::function<std::vector<std::string>()>& look);

 private:
  static constexpr std::chrono::milliseconds kLook{500};
  static constexpr int kTries = 3;

  kube::Client& client_;
  const Clock& clock_;
  const UninstallSettings& settings_;
  const Say& say_;
  const SteadyTime begun_;
  std::vector<std::string> failures_;
};

// The nodes' part (uninstall_nodes.cpp), in the order in which it is called. While agents still run: nodes are told to put their files
// back, and waited for.
void restore_nodes(UninstallSteps& steps);
// After the agents: the node programs go, at which those that have not heard of it put files back too.
void remove_node_programs(UninstallSteps& steps);
// Labels and Leases. A node that was away keeps kRestoreLabel, and is named.
void forget_nodes(UninstallSteps& steps);

}  // namespace cistern::run
