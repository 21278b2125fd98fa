#include <algorithm>
#include <functional>
#include <map>

#include "operator/reconcile/findings.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::reconcile {
namespace {

constexpr std::size_t kQuotedWords = 360;  // of somebody else's words, so that there is room for ours

using Suspects = std::vector<const NodeAgent*>;

// Those on reachable nodes, in the order of groups and nodes.
Suspects in_state(const Agents& agents, AgentState state) {
  Suspects found;
  for (const auto& group : agents.groups) {
    for (const auto& agent : group.agents) {
      if (agent.state == state && agent.reachable) found.push_back(&agent);
    }
  }
  return found;
}

std::string nodes_of(const Suspects& suspects) {
  std::vector<std::string> names;
  for (const auto* agent : suspects) names.push_back(agent->node);
  std::sort(names.begin(), names.end());
  return few(names);
}

std::string theirs(const std::string& words) { return cut(one_line(words), kQuotedWords); }

// kubelet's words, which are the same while it tries and while it waits for the next try.
std::string pull_words(const AgentPod& pod) {
  const auto begin =
      pod.waiting_message.starts_with("Back-off pulling image") ? pod.waiting_message.find(": ErrImagePull: ") : std::string::npos;
  const auto words =
      begin == std::string::npos ? pod.waiting_message : pod.waiting_message.substr(begin + std::string_view(": ErrImagePull: ").size());
  return theirs(words.empty() ? pod.waiting_reason : words);
}

void add_image_findings(const Agents& agents, std::vector<Finding>& findings) {
  std::map<std::string, Suspects> by_image;
  for (const auto* agent : in_state(agents, AgentState::kImageNotPulled)) by_image[agent->pod->image].push_back(agent);
  for (const auto& [image, suspects] : by_image) {
    const auto& pod = *suspects.front()->pod;
    const bool hopeless = pod.waiting_reason == "InvalidImageName";
    findings.push_back(
        {"ImagePullFailed",
         fmt::format(
             "The agent's image{} cannot be pulled on {}; kubelet says of pod {}: {}. See whether spec.agent.image is right, whether "
             "these nodes reach its registry, and whether it asks for a pull secret.",
             image.empty() ? "" : " " + image, nodes_of(suspects), pod.name, pull_words(pod)),
         hopeless});
  }
}

void add_start_findings(const PolicyState& state, const Agents& agents, std::vector<Finding>& findings) {
  if (const auto stuck = in_state(agents, AgentState::kCannotStart); !stuck.empty()) {
    const auto& pod = *stuck.front()->pod;
    findings.push_back(
        {"AgentCannotStart",
         fmt::format("The agent cannot be started on {}; kubelet says of pod {}: {}. See: kubectl -n {} describe pod {}.", nodes_of(stuck),
                     pod.name, theirs(fmt::format("{}: {}", pod.waiting_reason, pod.waiting_message)), state.ns, pod.name)});
  }
  if (const auto crashing = in_state(agents, AgentState::kCrashing); !crashing.empty()) {
    const auto& pod = *crashing.front()->pod;
    // kubelet's own message holds the time until its next try, which grows.
    const auto end = pod.last_end.empty() ? std::string() : fmt::format("; pod {} ended last with {}", pod.name, theirs(pod.last_end));
    findings.push_back(
        {"CrashLooping", fmt::format("The agent starts and ends again on {}{}. See: kubectl -n {} logs {} --all-containers --previous.",
                                     nodes_of(crashing), end, state.ns, pod.name)});
  }
}

// What to do about the scheduler's words.
std::string_view scheduling_advice(const std::string& words) {
  const auto says = [&](std::string_view part) { return words.find(part) != std::string::npos; };
  if (says("free ports")) return "Another pod holds host port 5050 of that node: remove it, or wait until a leaving agent is gone.";
  if (says("Insufficient")) return "Lower spec.agent.resources, make room, or raise spec.agent.priorityClassName.";
  if (says("untolerated taint")) return "Tolerate the taint in spec.agent.tolerations, or leave the node out by spec.nodeSelector.";
  if (says("affinity")) return "See spec.agent.affinity, or leave the node out by spec.nodeSelector.";
  return "See spec.agent (resources, tolerations, affinity), or leave the node out by spec.nodeSelector.";
}

void add_unschedulable(const Agents& agents, std::vector<Finding>& findings) {
  const auto waiting = in_state(agents, AgentState::kUnschedulable);
  std::vector<const AgentPod*> pods;
  for (const auto* agent : waiting) pods.push_back(agent->pod);
  for (const auto& group : agents.groups) {
    const auto homeless = homeless_pods(*group.state);
    pods.insert(pods.end(), homeless.begin(), homeless.end());
  }
  if (pods.empty()) return;
  const auto& pod = *pods.front();
  const auto where = waiting.empty() ? counted(pods.size(), "agent") : fmt::format("the agent of {}", nodes_of(waiting));
  findings.push_back({"Unschedulable", fmt::format("There is no place for {}; the scheduler says of pod {}: {}. {}", where, pod.name,
                                                   theirs(pod.unschedulable), scheduling_advice(pod.unschedulable))});
}

// What to do about the API server's words.
std::string_view refusal_advice(const std::string& words) {
  const auto says = [&](std::string_view part) { return words.find(part) != std::string::npos; };
  if (says("exceeded quota")) return "Raise the namespace's ResourceQuota, or lower spec.agent.resources.";
  if (says("violates PodSecurity"))
    return "Set the namespace's label pod-security.kubernetes.io/enforce as the chart's namespace.podSecurity says.";
  if (says("PriorityClass")) return "Make that PriorityClass, or correct spec.agent.priorityClassName.";
  if (says("maximum ") || says("minimum ")) return "See the namespace's LimitRange, and spec.agent.resources.";
  return "See what refuses pods in this namespace: an admission webhook, a quota or a policy.";
}

// Each try is for a pod with another name; the words are the same.
std::string without_pod_name(std::string words, const std::string& daemon_set) {
  const auto prefix = "\"" + daemon_set + "-";
  const auto at = words.find(prefix);
  const auto end = at == std::string::npos ? at : words.find('"', at + 1);
  if (end != std::string::npos) words.replace(at + prefix.size(), end - at - prefix.size(), "…");
  return words;
}

// Pods that the API server does not take. True: there are some.
bool add_refused(const PolicyState& state, const Agents& agents, std::vector<Finding>& findings) {
  std::vector<std::string> nodes;
  std::string words;
  for (const auto& group : agents.groups) {
    if (!group.state->refused) continue;
    // Where there is a pod for each node that the DaemonSet takes, the others are left out.
    const auto pods =
        std::count_if(group.agents.begin(), group.agents.end(), [](const auto& agent) { return agent.state != AgentState::kNoPod; });
    if (group.state->scheduled && static_cast<std::size_t>(pods) >= *group.state->scheduled) continue;
    const auto before = nodes.size();
    for (const auto& agent : group.agents) {
      if (agent.state == AgentState::kNoPod && agent.reachable) nodes.push_back(agent.node);
    }
    if (words.empty() && nodes.size() > before) words = without_pod_name(*group.state->refused, "cistern-" + group.state->group);
  }
  if (nodes.empty()) return false;
  std::sort(nodes.begin(), nodes.end());
  findings.push_back(
      {"PodsRefused",
       fmt::format("No agent can be made on {} in namespace {}: {}. {}", few(nodes), state.ns, theirs(words), refusal_advice(words)),
       words.find(" is forbidden: ") != std::string::npos});
  return true;
}

// Nodes for which the DaemonSet's controller does not even make a pod. True: there are some.
bool add_left_out(const Agents& agents, std::vector<Finding>& findings) {
  std::vector<std::string> groups;
  std::vector<std::string> nodes;
  std::size_t left_out = 0;
  for (const auto& group : agents.groups) {
    if (!group.state->scheduled || *group.state->scheduled >= group.agents.size()) continue;
    left_out += group.agents.size() - *group.state->scheduled;
    groups.push_back("cistern-" + group.state->group);
    for (const auto& agent : group.agents) {
      if (agent.state == AgentState::kNoPod) nodes.push_back(agent.node);
    }
  }
  if (left_out == 0) return false;
  std::sort(nodes.begin(), nodes.end());
  findings.push_back(
      {"NodesLeftOut",
       fmt::format(
           "DaemonSet {} leaves out {}{}: taints that spec.agent.tolerations does not tolerate, or spec.agent.affinity. Change them, or "
           "leave these nodes out by spec.nodeSelector.",
           few(groups), counted(left_out, "selected node"), nodes.empty() ? "" : fmt::format(" ({})", few(nodes))),
       true});
  return true;
}

void add_silent(const PolicyState& state, const Agents& agents, std::vector<Finding>& findings) {
  const auto silent = in_state(agents, AgentState::kSilent);
  if (silent.empty()) return;
  findings.push_back(
      {"AgentsNotAnswering",
       fmt::format(
           "The agent on {} is ready but does not tell the operator what it has in force ({}). See whether a NetworkPolicy keeps the "
           "operator from port 5051 in namespace {}.",
           nodes_of(silent), theirs(silent.front()->pod->no_answer), state.ns)});
}

// Nodes that a finding of its own explains are not told again.
void add_rollout(const PolicyState& state, const Agents& agents, bool told_of_no_pod, std::vector<Finding>& findings) {
  std::string what;
  const auto tell = [&](AgentState agent_state, std::string_view words) {
    if (const auto some = in_state(agents, agent_state); !some.empty()) what += fmt::format("{}: {}. ", words, nodes_of(some));
  };
  if (!told_of_no_pod) tell(AgentState::kNoPod, "No pod yet on");
  tell(AgentState::kStarting, "Starting on");
  tell(AgentState::kOtherConfiguration, "The new configuration is not in force yet on");
  if (what.empty()) return;
  findings.push_back({"RollingOut", fmt::format("{}If this lasts, see: kubectl -n {} get pods -o wide -l {}={}.", what, state.ns,
                                                render::kPolicyOfObject, state.object->at("metadata").at("name").get<std::string>())});
}

}  // namespace

Agents look_at_agents(const PolicyState& state) {
  Agents all;
  for (const auto* state_of_group : groups_in_order(state)) {
    Agents::Group group{state_of_group, node_agents(*state_of_group), 0};
    for (const auto& agent : group.agents) {
      const bool in_force = agent.state == AgentState::kInForce;
      group.in_force += in_force ? 1 : 0;
      all.reachable += agent.reachable ? 1 : 0;
      all.reachable_in_force += in_force && agent.reachable ? 1 : 0;
      all.outdated += in_force && agent.reachable && agent.pod->outdated ? 1 : 0;
      if (!agent.reachable) all.unreachable.push_back(agent.node);
    }
    all.desired += group.agents.size();
    all.in_force += group.in_force;
    all.groups.push_back(std::move(group));
  }
  std::sort(all.unreachable.begin(), all.unreachable.end());
  return all;
}

std::vector<Finding> pod_findings(const PolicyState& state, const Agents& agents) {
  std::vector<Finding> findings;
  add_image_findings(agents, findings);
  add_start_findings(state, agents, findings);
  const bool refused = add_refused(state, agents, findings);
  const bool left_out = add_left_out(agents, findings);
  add_unschedulable(agents, findings);
  add_silent(state, agents, findings);
  add_rollout(state, agents, refused || left_out, findings);
  return findings;
}

}  // namespace cistern::reconcile
