#include <algorithm>
#include <map>
#include <set>

#include "operator/reconcile/findings.hpp"
#include "operator/reconcile/node_setups.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::reconcile {
namespace {

constexpr std::size_t kReasonWords = 320;

// Each reference once, though many groups may have it.
void add_missing(const Agents& agents, std::vector<Finding>& findings) {
  std::set<std::string> secrets;
  std::set<std::string> authorities;
  for (const auto& group : agents.groups) {
    for (const auto& missing : group.state->missing) {
      (missing.path.ends_with("caRef") ? authorities : secrets)
          .insert(fmt::format("{}: {}", missing.path, cut(one_line(missing.reason), kReasonWords)));
    }
  }
  const auto add = [&](const char* reason, const std::set<std::string>& which) {
    if (!which.empty()) findings.push_back({reason, fmt::format("{}.", few({which.begin(), which.end()}, 3, "; "))});
  };
  add("SecretMissing", secrets);
  add("CAMissing", authorities);
}

// libcurl tells how long it took, which is another time with every agent and every try.
std::string without_times(std::string text) {
  constexpr std::string_view kAfter = " after ";
  for (auto at = text.find(kAfter); at != std::string::npos; at = text.find(kAfter, at + 1)) {
    const auto digits_end = text.find_first_not_of("0123456789", at + kAfter.size());
    if (digits_end == at + kAfter.size() || digits_end == std::string::npos) continue;
    for (const std::string_view unit : {" milliseconds", " ms"}) {
      if (text.compare(digits_end, unit.size(), unit) != 0) continue;
      text.erase(at, digits_end + unit.size() - at);
      break;
    }
  }
  return text;
}

struct Trouble {
  std::size_t agents = 0;
  std::string error;  // the first of them by the alphabet
};

// An upstream that is asked on trial has failed too, the last time that it was asked.
void add_upstreams(const Agents& agents, std::vector<Finding>& findings) {
  std::size_t asked = 0;
  std::map<std::string, Trouble> troubles;
  for (const auto& group : agents.groups) {
    for (const auto& agent : group.agents) {
      if (!agent.reachable || agent.pod == nullptr || !agent.pod->report) continue;
      ++asked;
      for (const auto& upstream : agent.pod->report->upstreams) {
        // Of a canary that is withdrawn it is told below: nothing is missed.
        if (upstream.state == "closed" || !upstream.canary_withdrawn.empty()) continue;
        auto& trouble = troubles[upstream.name];
        const auto error = without_times(one_line(upstream.error));
        if (!error.empty() && (trouble.error.empty() || error < trouble.error)) trouble.error = error;
        ++trouble.agents;
      }
    }
  }
  if (troubles.empty()) return;
  std::vector<std::string> names;
  for (const auto& [name, trouble] : troubles) {
    const auto error = trouble.error.empty() ? "" : fmt::format(" ({})", cut(trouble.error, kReasonWords));
    names.push_back(fmt::format("{} for {} of {}{}", name, trouble.agents, counted(asked, "agent"), error));
  }
  findings.push_back({"UpstreamUnreachable", fmt::format("Upstream fails: {}. What is cached is served on; it is asked again by itself. "
                                                         "See its URL and credentials in spec, and whether the "
                                                         "nodes reach it.",
                                                         few(names, 3, "; "))});
}

// Each agent judges by what it has asked itself, so the numbers are one agent's.
void add_canaries(const Agents& agents, std::vector<Finding>& findings) {
  std::size_t asked = 0;
  std::map<std::string, Trouble> withdrawn;
  for (const auto& group : agents.groups) {
    for (const auto& agent : group.agents) {
      if (!agent.reachable || agent.pod == nullptr || !agent.pod->report) continue;
      ++asked;
      for (const auto& upstream : agent.pod->report->upstreams) {
        if (upstream.canary_withdrawn.empty()) continue;
        auto& trouble = withdrawn[upstream.name];
        auto reason = one_line(upstream.canary_withdrawn);
        if (trouble.agents++ == 0 || reason < trouble.error) trouble.error = std::move(reason);
      }
    }
  }
  if (withdrawn.empty()) return;
  std::vector<std::string> names;
  for (const auto& [name, trouble] : withdrawn) {
    names.push_back(fmt::format("{} by {} of {} ({})", name, trouble.agents, counted(asked, "agent"), cut(trouble.error, kReasonWords)));
  }
  findings.push_back(
      {"CanaryWithdrawn", fmt::format("Canary withdrawn: {}. Its objects go to the other upstreams; it is tried again by "
                                      "itself, less and less often. See the upstream, or take it or its rollout out of spec.",
                                      few(names, 3, "; "))});
}

void add_unknown(const PolicyState& state, std::string_view kind, const char* reason, std::vector<Finding>& findings) {
  if (state.outcome == nullptr) return;
  std::map<std::string, std::string> names;  // sorted
  for (const auto& unknown : state.outcome->unknown) {
    if (unknown.kind != kind) continue;
    std::string who = unknown.nodes > 0 ? counted(unknown.nodes, "node") : "";
    if (unknown.namespaces > 0) who += fmt::format("{}{}", who.empty() ? "" : " and ", counted(unknown.namespaces, "namespace"));
    names[unknown.name] = who.empty() ? fmt::format("\"{}\" (default)", unknown.name) : fmt::format("\"{}\" ({})", unknown.name, who);
  }
  if (names.empty()) return;
  std::vector<std::string> shown;
  for (const auto& [name, text] : names) shown.push_back(text);
  findings.push_back(
      {reason,
       fmt::format("spec.{0}s defines no {0} {1}; the base applies there. Define it, or correct the label that spec.{0}.labelKey names, or "
                   "spec.{0}.default.",
                   kind, few(shown))});
}

void add_injection(const PolicyState& state, std::vector<Finding>& findings) {
  if (!state.webhook_trouble.empty()) {
    findings.push_back({"WebhookUnavailable", fmt::format("New pods are created without their variables: {}.",
                                                          cut(one_line(state.webhook_trouble), kReasonWords))});
  }
  if (state.maps_refused.empty()) return;
  std::vector<std::string> refused;
  for (const auto& [ns, why] : state.maps_refused) refused.push_back(fmt::format("{} ({})", ns, cut(one_line(why), kReasonWords)));
  findings.push_back(
      {"ConfigMapRefused", fmt::format("ConfigMaps of {} could not be written, which containers with envFrom are referred to: "
                                       "{}. It is tried again every minute.",
                                       counted(refused.size(), "namespace"), few(refused, 2, "; "))});
}

}  // namespace

std::vector<Finding> degraded_findings(const PolicyState& state, const Agents& agents) {
  std::vector<Finding> findings;
  add_missing(agents, findings);
  add_upstreams(agents, findings);
  add_canaries(agents, findings);
  add_troubled_nodes(state, look_at_node_setups(state), findings);
  add_injection(state, findings);
  add_unknown(state, "region", "UnknownRegion", findings);
  add_unknown(state, "profile", "UnknownProfile", findings);
  return findings;
}

}  // namespace cistern::reconcile
