// The status of a policy, from what is known. Pure: no clock, no cluster; the same input in any order gives the same status.
//
// Conditions follow kstatus: Ready, Reconciling, Stalled; beside them Accepted, Degraded, Overridden. All six are always there, each with a
// reason (CamelCase) and a message of at most 1 kB that says what to do. "In force": the agent answers with its group's hash. A policy that
// waiting does not help is Stalled and then not Reconciling.
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
  std::string node;  // where it runs; of one that is not scheduled yet, the node that its affinity names
  bool ready = false;
  bool terminating = false;
  bool outdated = false;       // made from a former pod template; it will be replaced
  std::string image;           // of its container
  std::string waiting_reason;  // of its container, or init container: ImagePullBackOff, CrashLoopBackOff, CreateContainerConfigError …
  std::string waiting_message;
  unsigned restarts = 0;
  std::string last_end;               // how its container ended last: "exit code 1: its last words"; empty: it never did
  std::string unschedulable;          // the scheduler's words, if it is not scheduled
  std::optional<AgentReport> report;  // the last answer, if there was one lately
  std::string no_answer;              // why there is none, once it was asked: the probe's error
};

// How a node's runtime is set up, as the node's program and its silence tell.
enum class NodeSetupState {
  kConfigured,
  kWaiting,      // on its way, or not heard of yet
  kFailed,       // tried, and taken back
  kUnsupported,  // somebody has to set something on the node first
  kSilent,       // not heard of for too long
  kReported,     // nodeConfig.mode Report: the message says what would be done
  kOff,
};
struct NodeSetup {
  std::string node;
  NodeSetupState state = NodeSetupState::kWaiting;
  bool reachable = true;
  bool its_turn = false;  // it may change now
  std::string message;
  unsigned drift = 0;  // files that are not as they should be, and left so
  std::vector<std::string> kept_in_fallback;
};

struct GroupState {
  std::string group;
  std::string region;
  std::string profile;
  std::string config_hash;               // what shall be in force
  std::vector<std::string> nodes;        // selected
  std::vector<std::string> unreachable;  // of these: NotReady, or gone silent
  // status.desiredNumberScheduled of its DaemonSet; absent until the DaemonSet's controller has seen the present generation, and until all
  // nodes have had the group's label for some seconds.
  std::optional<std::size_t> scheduled;
  std::vector<AgentPod> pods;
  std::optional<std::string> refused;              // what the DaemonSet's controller said when it could not make a pod; none was made since
  std::optional<model::NodeConfigMode> node_mode;  // nothing: nodes are not told anything (the node program is not installed)
  std::vector<NodeSetup> node_setups;              // one for each node then
  std::vector<std::string> kept_in_fallback;       // registries that shall be strict, and must not be in the whole group
  bool held_by_failed = false;                     // nodes wait for their turn, which failed ones have
  std::vector<render::MissingReference> missing;
  std::optional<std::string> apply_error;  // its objects could not be made or written: the agent's or the API server's words
  bool apply_refused = false;              // invalid or forbidden: trying again alone does not help
};

struct PolicyState {
  const nlohmann::json* object = nullptr;        // the MirrorPolicy as it is, with metadata and the status it has now
  std::optional<std::string> invalid;            // what is wrong with it; then the last accepted generation stays in force, if there is one
  std::optional<unsigned> accepted_generation;   // of what is in force
  const plan::PolicyOutcome* outcome = nullptr;  // null while nothing of it was ever accepted
  std::vector<GroupState> groups;
  std::optional<std::string> apply_error;  // what is the policy's own (Service, NetworkPolicy, node labels) could not be written
  bool apply_refused = false;
  std::string webhook_trouble;                      // why new pods get nothing of it though it says so; empty: no reason is known
  std::map<std::string, std::string> maps_refused;  // namespaces whose ConfigMaps could not be written, and why
  bool strict_in_vain = false;                      // registries shall be strict, and no node program is installed
  std::string ns = "cistern-system";                // the operator's; messages name it
};

// Counters outlive the agents that counted them: what the policy's agents have served since the operator knows them.
struct CacheTotals {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t upstream_bytes = 0;
  std::uint64_t stored_bytes = 0;
};

// The whole value of `status`, ready to be applied. A condition that keeps its status keeps its lastTransitionTime; so nothing changed
// gives the very status that the object has. Ratios and sums are rounded so that they do not change with every request:
//
//   {"observedGeneration", "conditions": [{"type", "status", "reason", "message", "observedGeneration", "lastTransitionTime"}],
//    "agents": {"desired", "ready", "summary": "2/3"}, "nodes": {"selected"; where the node program is installed
//       also "configured", "drifted", "failed", "unsupported", "stale", and "keptInFallback": [registries] if there are any},
//    "cache": {"hitRatio": "0.97", absent before the first request; "storedBytes", "upstreamBytesSaved"},
//    "groups": [{"name", "region", "profile", the two only where there is one; "nodes", "ready", "configHash"}], by name, at most 16,
//    "groupsOmitted": those beyond, only if there are}
nlohmann::json policy_status(const PolicyState& state, const CacheTotals& totals, WallTime now);

// What is worth an Event when the status goes from `before` (may be null) to `after`: a condition that turned bad, or bad for another
// reason (Warning), and one that is good again (Normal). One for each reason; none when nothing changed but numbers.
struct StatusEvent {
  bool warning = false;
  std::string reason;
  std::string note;
};
std::vector<StatusEvent> status_events(const nlohmann::json& before, const nlohmann::json& after);

}  // namespace cistern::reconcile
