// Asks the agents what they do: those whose configuration is not in force yet every half second, the others every 15 to 30 s. Whatever
// shows in a policy's status leads to a look at that policy.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "operator/reconcile/agents.hpp"
#include "operator/reconcile/state.hpp"
#include "operator/reconcile/totals.hpp"

namespace cistern::reconcile {

class AgentPoller {
 public:
  struct Seen {
    std::optional<AgentReport> report;  // the last answer; none after several failures
    std::string no_answer;              // why there is none, once it was asked
  };
  // `changed` is called with a policy's name; `soon` is false where only the sums of its cache have moved.
  using Changed = std::function<void(const std::string& policy, bool soon)>;

  // All outlive it. `probe` is used by one thread.
  AgentPoller(AgentProbe& probe, const Clock& clock, const Cluster& cluster, const State& state, Changed changed);
  ~AgentPoller() { stop(); }

  void start();
  void stop();
  // Asks those that are due; one thread at a time. For tests, and for the poller's own thread.
  void round();

  // Thread-safe.
  // Whether everybody there was at the start has been asked: before that nothing is known of any agent.
  bool has_asked() const { return has_asked_; }
  Seen seen(const std::string& pod_uid) const;
  CacheTotals totals(const std::string& policy) const { return totals_.of(policy); }
  void forget_policy(const std::string& policy) { totals_.forget_policy(policy); }

 private:
  struct Record {
    std::string policy;
    Seen seen;
    unsigned failures = 0;
    ErrorCode error = ErrorCode::kInternal;  // of the last failure
    SteadyTime asked{};
    SteadyTime next{};
    bool known_before = false;  // the operator
  };
  struct Question {
    std::string uid;
    std::string policy;
    std::string address;
    std::string wanted;
  };

  // A pod that can be asked. What is asked of the caches is kept until they change, since this is looked at four times a second.
  struct Candidate {
    std::string uid;
    std::string policy;
    std::string group;
    std::string address;
  };

  void find_candidates();
  std::vector<Question> due();
  void take(const Question& question, const Result<AgentReport>& answer);
  void run();

  AgentProbe& probe_;
  const Clock& clock_;
  const Cluster& cluster_;
  const State& state_;
  const Changed changed_;
  Totals totals_;
  std::vector<Candidate> candidates_;
  std::pair<std::uint64_t, std::uint64_t> seen_changes_{~0ULL, ~0ULL};  // of pods and nodes
  bool first_round_ = true;
  std::atomic<bool> has_asked_ = false;

  mutable std::mutex mutex_;
  std::map<std::string, Record> records_;  // by the pod's uid

  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cistern::reconcile
