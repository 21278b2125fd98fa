// Looks at what is known, decides (decide.hpp) and does it, one round after the other. One thread. Knows no API server: what that says
// comes in as a View, what it shall be told goes out as a Report.
#pragma once

#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "operator/node/decide.hpp"
#include "operator/node/host.hpp"
#include "operator/node/keeper.hpp"
#include "operator/node/layout.hpp"

namespace cistern::node {

struct View {
  bool uninstall_known = false;
  bool uninstalling = false;
  bool node_known = false;
  std::string group;
  HostFacts facts;
  bool config_known = false;
  std::optional<std::string> config;  // node.json; empty: the ConfigMap is not there
  std::string granted;
};

// An Event on the Node. `warning`: something went wrong.
using Announce = std::function<void(bool warning, const char* reason, const char* action, const std::string& note)>;

struct Report {
  std::string group;
  std::string config_hash;            // what the group's ConfigMap asks for; empty: nothing is known
  std::string applied_hash = "none";  // what is in force on the node; "none": nothing of ours
  std::string runtime;
  std::string state;
  std::string message;
  std::vector<std::string> kept_in_fallback;  // registries that shall be strict, and that the node's sandbox image comes from
  unsigned drift = 0;                         // files that are not as they should be and are left so
  unsigned repairs = 0;                       // drift mended so far
  unsigned failures = 0;                      // tries to apply this configuration that failed, in a row
  bool busy = false;                          // granted and not yet applied: every second counts
  SteadyTime next;                            // when it wants to be called again, at the latest

  bool operator==(const Report&) const = default;
};

struct WorkerSettings {
  fs::path root = "/";
  std::string containerd_config = "/etc/containerd/config.toml";
  std::chrono::milliseconds check{60000};             // for drift; up to a quarter more or less
  std::chrono::milliseconds missing_grace{2000};      // a ConfigMap that is gone may be about to come back
  std::chrono::milliseconds agent_patience{10000};    // for the probe after a change
  std::chrono::milliseconds storage_patience{60000};  // for the agent to end before its folder goes
  std::chrono::milliseconds first_rest{1000};         // after a failure, doubled up to …
  std::chrono::milliseconds longest_rest{60000};
};

struct Counters {
  unsigned long drift = 0, apply_failures = 0, applies = 0, restores = 0;
};

class Worker {
 public:
  Worker(Keeper& keeper, Host& host, const Clock& clock, Announce announce, WorkerSettings settings);

  Report round(const View& view);
  // For SIGTERM. `gone`: whether the DaemonSet is gone or going; nothing: that could not be told.
  void end(std::optional<bool> gone);
  // Folders in which a change is worth a look, as real paths.
  std::vector<fs::path> folders() const;
  const Counters& counters() const { return counters_; }

 private:
  Situation look(const View& view);
  void act(const Decision& decision, Report& report);
  Result<void> apply(const Config& config, Report& report);
  Result<void> change_containerd(const DesiredFile& edit);
  Result<void> switch_files(const Layout& layout, const Config& config);
  Result<void> put_back(const Ledger& before);
  Result<Change> changed(Result<Change> change);
  void wait_for_agent(const Config& config, Report& report);
  bool probe_for(std::chrono::milliseconds patience, const std::string& mirror, std::string& problem);
  void restore(const std::string& why, Report& report);
  void repair(Report& report);
  void failed(const Error& error, Report& report);
  void look_after_storage(const Situation& situation, Report& report);
  void report_drift(Report& report);
  void rest(std::chrono::milliseconds& pause);
  SteadyTime later(std::chrono::milliseconds pause);

  Keeper& keeper_;
  Host& host_;
  const Clock& clock_;
  const Announce announce_;
  const WorkerSettings settings_;
  Detection detection_;
  std::optional<Config> config_;
  Counters counters_;

  std::string tried_;  // the hash that failures are of
  unsigned failures_ = 0;
  std::string failure_;
  std::chrono::milliseconds pause_{0};
  SteadyTime rests_until_{};
  std::optional<SteadyTime> missing_since_, agent_leaves_since_;
  std::vector<SteadyTime> repairs_;  // of the last minute
  std::string said_unmanaged_;
  std::string said_state_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace cistern::node
