#include "operator/reconcile/node_agents.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

namespace cistern::reconcile {
namespace {

constexpr unsigned kManyRestarts = 3;

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool waits_for_image(const AgentPod& pod) {
  constexpr std::array<std::string_view, 7> kReasons = {
      "ErrImagePull",      "ImagePullBackOff",    "InvalidImageName",         "ErrImageNeverPull",
      "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"};
  return one_of(kReasons, pod.waiting_reason);
}

// Between two tries the container runs or has just ended, so that kubelet's word for it comes and goes; the restarts stay.
bool crashes(const AgentPod& pod) {
  return pod.waiting_reason == "CrashLoopBackOff" || (pod.restarts >= kManyRestarts && !pod.last_end.empty() && pod.waiting_reason.empty());
}

AgentState state_of(const AgentPod& pod, const std::string& config_hash) {
  constexpr std::array<std::string_view, 3> kOnItsWay = {"", "ContainerCreating", "PodInitializing"};
  if (pod.ready) {
    if (!pod.report) return pod.no_answer.empty() ? AgentState::kStarting : AgentState::kSilent;
    return pod.report->config_hash == config_hash ? AgentState::kInForce : AgentState::kOtherConfiguration;
  }
  if (!pod.unschedulable.empty()) return AgentState::kUnschedulable;
  if (waits_for_image(pod)) return AgentState::kImageNotPulled;
  if (crashes(pod)) return AgentState::kCrashing;
  return one_of(kOnItsWay, pod.waiting_reason) ? AgentState::kStarting : AgentState::kCannotStart;
}

}  // namespace

std::vector<NodeAgent> node_agents(const GroupState& group) {
  const std::set<std::string> unreachable(group.unreachable.begin(), group.unreachable.end());
  std::map<std::string, NodeAgent> agents;
  for (const auto& node : group.nodes) agents[node] = NodeAgent{node, nullptr, AgentState::kNoPod, unreachable.count(node) == 0};
  for (const auto& pod : group.pods) {
    const auto found = agents.find(pod.node);
    if (pod.terminating || found == agents.end()) continue;
    auto& agent = found->second;
    // Two on one node, while one takes over from the other: the better one counts.
    const auto state = state_of(pod, group.config_hash);
    const bool better = agent.pod == nullptr || state < agent.state || (state == agent.state && pod.name < agent.pod->name);
    if (!better) continue;
    agent.pod = &pod;
    agent.state = state;
  }
  std::vector<NodeAgent> all;
  all.reserve(agents.size());
  for (auto& [name, agent] : agents) all.push_back(std::move(agent));
  return all;
}

std::vector<const AgentPod*> homeless_pods(const GroupState& group) {
  std::vector<const AgentPod*> pods;
  for (const auto& pod : group.pods) {
    if (pod.node.empty() && !pod.terminating && !pod.unschedulable.empty()) pods.push_back(&pod);
  }
  std::sort(pods.begin(), pods.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  return pods;
}

std::vector<const GroupState*> groups_in_order(const PolicyState& state) {
  std::vector<const GroupState*> groups;
  for (const auto& group : state.groups) groups.push_back(&group);
  std::sort(groups.begin(), groups.end(), [](const auto* a, const auto* b) { return a->group < b->group; });
  return groups;
}

}  // namespace cistern::reconcile
