// The status of a policy, from what is known. Pure: no clock, no cluster.
//
// Conditions follow kstatus: Ready, Reconciling, Stalled; beside them Accepted, Degraded, Overridden. Each has a reason (CamelCase) and a
// message that says what to do. "In force": the agent answers with its group's hash.
#pragma once

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "operator/plan/cluster.hpp"
#include "operator/reconcile/agents.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::reconcile {

// One pod of a group's DaemonSet, as the API server and the pod itself tell.
struct AgentPod {
  std::string name;
  std::string node;
  bool ready = false;
  bool terminating = false;
  std::string waiting_reason;  // of its container: ImagePullBackOff, CrashLoopBackOff, CreateContainerConfigError …
  std::string waiting_message;
  std::string unschedulable;          // the scheduler's words, if it is not scheduled
  std::optional<AgentReport> report;  // the last answer, if there was one lately
};

struct GroupState {
  std::string group;
  std::string region;
  std::string config_hash;               // what shall be in force
  std::vector<std::string> nodes;        // selected
  std::vector<std::string> unreachable;  // of these: NotReady, or gone silent
  std::vector<AgentPod> pods;
  std::vector<render::MissingReference> missing;
  std::optional<std::string> apply_error;  // its objects could not be written: the API server's words
};

struct PolicyState {
  const nlohmann::json* object = nullptr;        // the MirrorPolicy as it is, with metadata and the status it has now
  std::optional<std::string> invalid;            // what is wrong with it; then the last accepted generation stays in force, if there is one
  std::optional<unsigned> accepted_generation;   // of what is in force
  const plan::PolicyOutcome* outcome = nullptr;  // null while nothing of it was ever accepted
  std::vector<GroupState> groups;
};

// Counters outlive the agents that counted them: what the policy's agents have served since the operator knows them.
struct CacheTotals {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t upstream_bytes = 0;
  std::uint64_t stored_bytes = 0;
};

// The whole status, ready to be applied. A condition that keeps its status keeps its lastTransitionTime; so nothing changed gives the very
// status that the object has. Ratios and sums are rounded so that they do not change with every request.
nlohmann::json policy_status(const PolicyState& state, const CacheTotals& totals, WallTime now);

// What is worth an Event when the status goes from `before` (may be null) to `after`: conditions that changed.
struct StatusEvent {
  bool warning = false;
  std::string reason;
  std::string note;
};
std::vector<StatusEvent> status_events(const nlohmann::json& before, const nlohmann::json& after);

}  // namespace cistern::reconcile
