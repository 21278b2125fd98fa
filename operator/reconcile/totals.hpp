// What the agents of a policy have served in all. Agents count from their own start; this adds up what each has counted since it was heard
// last, so that the sum outlives an agent, and continues from the status after a restart of the operator.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "operator/kube/resource.hpp"
#include "operator/reconcile/agents.hpp"
#include "operator/reconcile/status.hpp"

namespace cistern::reconcile {

// Thread-safe.
class Totals {
 public:
  // Takes over what the status of a policy says was saved so far; once for each, before its first report.
  void begin(const std::string& policy, const kube::Json& status);
  // `known_before`: the agent was there before the operator was, so that the status has what it served up to now. True: the totals differ.
  bool add(const std::string& policy, const std::string& pod, const AgentReport& report, bool known_before);
  // The agent is gone; what it has served stays in the sum.
  void forget_pod(const std::string& policy, const std::string& pod);
  void forget_policy(const std::string& policy);
  CacheTotals of(const std::string& policy) const;

 private:
  struct Policy {
    bool continued = false;                   // from a status
    CacheTotals sum;                          // without stored_bytes
    std::map<std::string, CacheTotals> last;  // by pod
  };

  mutable std::mutex mutex_;
  std::map<std::string, Policy> policies_;
};

}  // namespace cistern::reconcile
