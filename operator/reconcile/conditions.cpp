#include "operator/reconcile/conditions.hpp"

#include <algorithm>

#include "operator/reconcile/node_setups.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::reconcile {
namespace {

constexpr std::size_t kMessage = 1024;  // what an Event's note may hold, too
constexpr std::size_t kBrief = 120;
constexpr std::size_t kWords = 600;

bool deleting(const PolicyState& state) { return state.object->at("metadata").contains("deletionTimestamp"); }

std::size_t selected(const PolicyState& state) { return state.outcome == nullptr ? 0 : state.outcome->nodes; }

// Nodes that Ready is about: those that can be reached, and those for which there is not even a group.
std::size_t awaited(const PolicyState& state, const Agents& agents) {
  const auto all = selected(state);
  return agents.reachable + (all > agents.desired ? all - agents.desired : 0);
}

std::string in_force_count(const PolicyState& state, const Agents& agents) {
  return fmt::format("{} of {}", agents.reachable_in_force, counted(awaited(state, agents), "agent"));
}

// The gravest first; where not all fit, the others shortly.
std::string told(const std::vector<Finding>& findings, std::size_t room = kMessage) {
  std::string text = findings.front().message;
  std::string whole;
  std::string brief;
  for (std::size_t i = 1; i < findings.size(); ++i) {
    const auto& other = findings[i];
    whole += fmt::format(" Also {}: {}", other.reason, other.message);
    brief += fmt::format(" Also {}: {}", other.reason, cut(other.message, kBrief));
  }
  return text + (text.size() + whole.size() <= room ? whole : brief);
}

Finding invalid_finding(const PolicyState& state, const Agents& agents) {
  const auto in_force = state.accepted_generation
                            ? fmt::format("Generation {} stays in force ({}).", *state.accepted_generation, in_force_count(state, agents))
                            : std::string("Nothing of it is in force.");
  return {"Invalid", fmt::format("Not accepted: {}. Correct it. {}", cut(one_line(*state.invalid), kWords), in_force), true};
}

// What could not be written: the refused (of the policy itself, else of the first group) before what is tried again. A try that failed
// says nothing about agents that run: it does not make Ready False.
void add_apply_findings(const PolicyState& state, const Agents& agents, std::vector<Finding>& findings) {
  for (const bool refused : {true, false}) {
    std::string what;
    std::string words;
    std::size_t more = 0;
    const auto note = [&](const std::optional<std::string>& error, bool is_refused, const std::string& whose) {
      if (!error || is_refused != refused) return;
      if (!what.empty()) {
        ++more;
        return;
      }
      what = whose;
      words = cut(one_line(*error), kWords);
    };
    note(state.apply_error, state.apply_refused, "objects of the policy");
    for (const auto& group : agents.groups) {
      note(group.state->apply_error, group.state->apply_refused, fmt::format("objects of group {}", group.state->group));
    }
    if (what.empty()) continue;
    const auto others = more == 0 ? std::string() : fmt::format(" (and of {} more)", more);
    findings.push_back({refused ? "ApplyRefused" : "ApplyFailed",
                        fmt::format("The {}{} {}: {}. {}", what, others, refused ? "are refused" : "could not be written", words,
                                    refused ? "Correct the field that this names or, where it is forbidden, give the operator's service "
                                              "account the right (upgrade the chart)."
                                            : "It is tried again by itself; if it lasts, see the operator's log and the API server."),
                        refused, refused});
  }
}

// What keeps the policy from being in force, the gravest first.
std::vector<Finding> blocking_findings(const PolicyState& state, const Agents& agents) {
  std::vector<Finding> findings;
  if (deleting(state)) {
    findings.push_back({"Deleting", "The policy is being deleted: its agents, Secrets, Services and node labels are removed."});
    add_apply_findings(state, agents, findings);
    for (auto& finding : findings) finding.stalled = false;
    return findings;
  }
  if (state.invalid) findings.push_back(invalid_finding(state, agents));
  if (state.outcome != nullptr && !state.outcome->problems.empty()) {
    std::vector<std::string> problems;
    for (const auto& problem : state.outcome->problems) problems.push_back(one_line(problem));
    std::sort(problems.begin(), problems.end());
    findings.push_back({"OverlaysInvalid",
                        fmt::format("Overlays do not fit together, and the nodes concerned get no agent: {}. Correct the overlays named.",
                                    cut(few(problems, 3, "; "), kWords)),
                        true});
  }
  add_apply_findings(state, agents, findings);
  auto pods = pod_findings(state, agents);
  std::move(pods.begin(), pods.end(), std::back_inserter(findings));
  add_waiting_nodes(look_at_node_setups(state), findings);
  if (state.outcome == nullptr && !state.invalid) findings.push_back({"Planning", "The policy has not been looked at yet."});
  return findings;
}

std::string unreachable_note(const Agents& agents) {
  if (agents.unreachable.empty()) return {};
  const bool one = agents.unreachable.size() == 1;
  return fmt::format(" {} {} unreachable and {} not count: {}.", counted(agents.unreachable.size(), "node"), one ? "is" : "are",
                     one ? "does" : "do", few(agents.unreachable));
}

Condition accepted(const PolicyState& state) {
  if (state.invalid) {
    const auto rest = state.accepted_generation ? fmt::format("Generation {} stays in force.", *state.accepted_generation)
                                                : std::string("Nothing of it is in force.");
    return {"Accepted", "False", "Invalid", fmt::format("{}. Correct it. {}", cut(one_line(*state.invalid), kWords), rest)};
  }
  std::vector<std::string> notices;
  if (state.outcome != nullptr) {
    for (const auto& notice : state.outcome->notices) notices.push_back(fmt::format("{}: {}", notice.path, one_line(notice.reason)));
  }
  if (state.strict_in_vain) {
    notices.push_back("fallbackToSource: false needs the node program, which is not installed (the chart's node.enabled)");
  }
  const auto setups = look_at_node_setups(state);
  if (notices.empty() && setups.kept_in_fallback.empty()) return {"Accepted", "True", "Accepted", "The policy is valid."};
  std::string text = "The policy is valid";
  if (!notices.empty()) text += fmt::format("; not in force yet: {}", few(notices, 4, "; "));
  if (!setups.kept_in_fallback.empty()) {
    text += fmt::format("; not strict in spite of fallbackToSource: false, as what has to start before the agent comes from there: {}",
                        few({setups.kept_in_fallback.begin(), setups.kept_in_fallback.end()}));
  }
  return {"Accepted", "True", "AcceptedWithNotices", text + "."};
}

Condition no_nodes(const PolicyState& state) {
  std::size_t lost = 0;
  for (const auto& [winner, what] : state.outcome->lost_to) lost += what.nodes;
  auto text = lost > 0
                  ? fmt::format("No agent runs: every node that spec.nodeSelector selects ({}) is another policy's; see Overridden.", lost)
                  : std::string("No agent runs: spec.nodeSelector selects no node; compare it with: kubectl get nodes --show-labels.");
  if (state.outcome->namespaces > 0) {
    text += fmt::format(" Pods in its {} are not sent to it meanwhile.", counted(state.outcome->namespaces, "namespace"));
  }
  return {"Ready", "True", "NoNodes", std::move(text)};
}

Condition ready(const PolicyState& state, const Agents& agents, const std::vector<Finding>& findings) {
  const bool blocked = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) { return finding.blocks; });
  if (blocked) {
    const auto& reason = findings.front().reason;
    const bool counts = awaited(state, agents) > 0 && reason != "Invalid" && reason != "Deleting";
    const auto lead =
        counts ? fmt::format("{} ready and in force.{} ", in_force_count(state, agents), unreachable_note(agents)) : std::string();
    return {"Ready", "False", reason, lead + told(findings, kMessage - lead.size())};
  }
  if (selected(state) == 0) return no_nodes(state);
  if (agents.reachable == 0) {
    return {"Ready", "Unknown", "NodesUnreachable",
            fmt::format("None of the {} selected can be reached: {}. See: kubectl get nodes.", counted(agents.desired, "node"),
                        few(agents.unreachable))};
  }
  return {"Ready", "True", "InForce",
          fmt::format("{} ready and in force.{}{}", in_force_count(state, agents), unreachable_note(agents),
                      node_note(look_at_node_setups(state)))};
}

Condition reconciling(const Condition& ready, const Agents& agents, const std::vector<Finding>& findings, bool stalled) {
  if (stalled) return {"Reconciling", "False", "Stalled", "Waiting does not help: see Stalled."};
  if (!findings.empty()) return {"Reconciling", "True", findings.front().reason, told(findings)};
  if (ready.status == "Unknown") return {"Reconciling", "True", ready.reason, ready.message};
  if (agents.outdated > 0) {
    return {"Reconciling", "True", "RollingOut",
            fmt::format("{} of {} still run as a former pod template says; they are replaced a few at a time.", agents.outdated,
                        counted(agents.reachable, "agent"))};
  }
  return {"Reconciling", "False", "Done", "Nothing is left to do."};
}

Condition stalled(const std::vector<Finding>& findings) {
  std::vector<Finding> hopeless;
  std::copy_if(findings.begin(), findings.end(), std::back_inserter(hopeless), [](const Finding& finding) { return finding.stalled; });
  if (hopeless.empty()) return {"Stalled", "False", "AsExpected", "Nothing has to be changed for it to go on."};
  return {"Stalled", "True", hopeless.front().reason, told(hopeless)};
}

Condition degraded(const PolicyState& state, const Agents& agents) {
  const auto findings = degraded_findings(state, agents);
  if (!findings.empty()) return {"Degraded", "True", findings.front().reason, told(findings)};
  if (state.outcome == nullptr) return {"Degraded", "Unknown", "NotAccepted", "Known once the policy is accepted."};
  return {"Degraded", "False", "AsExpected", "No upstream is known to fail, and what the policy refers to is there."};
}

std::string amount(const plan::Lost& lost) {
  if (lost.namespaces == 0) return counted(lost.nodes, "node");
  if (lost.nodes == 0) return counted(lost.namespaces, "namespace");
  return fmt::format("{} and {}", counted(lost.nodes, "node"), counted(lost.namespaces, "namespace"));
}

Condition overridden(const PolicyState& state) {
  if (state.outcome == nullptr) return {"Overridden", "Unknown", "NotAccepted", "Known once the policy is accepted."};
  std::vector<std::string> winners;
  plan::Lost all;
  for (const auto& [winner, lost] : state.outcome->lost_to) {  // by name
    if (lost.nodes + lost.namespaces == 0) continue;
    winners.push_back(fmt::format("{} ({})", winner, amount(lost)));
    all.nodes += lost.nodes;
    all.namespaces += lost.namespaces;
  }
  if (winners.empty()) return {"Overridden", "False", "NotOverridden", "No other policy owns what it selects."};
  return {
      "Overridden", "True", "OtherPolicyWins",
      fmt::format(
          "It selects {} owned by {}: the higher spec.priority wins, then the older policy, then the name. Raise its priority, or narrow "
          "spec.nodeSelector or spec.namespaceSelector.",
          amount(all), few(winners))};
}

}  // namespace

std::vector<Condition> conditions_of(const PolicyState& state, const Agents& agents) {
  const auto findings = blocking_findings(state, agents);
  auto is_stalled = stalled(findings);
  auto is_ready = ready(state, agents, findings);
  auto is_reconciling = reconciling(is_ready, agents, findings, is_stalled.status == "True");
  std::vector<Condition> conditions = {accepted(state),       std::move(is_ready),     std::move(is_reconciling),
                                       std::move(is_stalled), degraded(state, agents), overridden(state)};
  for (auto& condition : conditions) condition.message = cut(std::move(condition.message), kMessage);
  return conditions;
}

}  // namespace cistern::reconcile
