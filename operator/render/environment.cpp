#include "operator/render/environment.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/glob.hpp"
#include "config/checks.hpp"
#include "operator/plan/names.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::render {
namespace {

// Whether an upstream was named for these modules: its pattern covers the private one, or a part of it.
bool is_served(const std::string& pattern, const std::vector<model::GoUpstream>& upstreams) {
  return std::any_of(upstreams.begin(), upstreams.end(), [&](const model::GoUpstream& upstream) {
    return std::any_of(upstream.match.begin(), upstream.match.end(), [&](const std::string& match) {
      // "*" stands for what is public.
      return match != "*" && (match == pattern || matches_module_pattern(match, pattern) || matches_module_pattern(pattern, match));
    });
  });
}

}  // namespace

std::map<std::string, std::string> go_environment(const model::Go& go, const std::string& base, const std::string& profile) {
  return go_environment(std::span(&go, 1), base, profile);
}

std::map<std::string, std::string> go_environment(std::span<const model::Go> agents, const std::string& base, const std::string& profile) {
  std::map<std::string, std::string> variables;
  if (agents.empty() || std::ranges::any_of(agents, [](const model::Go& go) { return go.upstreams.empty(); })) return variables;
  const model::Go& go = agents.front();
  variables["GOPROXY"] = base + "/go/" + (profile.empty() ? "" : "~" + profile + "/") + (go.allow_direct ? "|direct" : "");
  std::vector<std::string> unserved;
  for (const auto& pattern : go.private_patterns) {
    const bool served = std::ranges::all_of(agents, [&](const model::Go& agent) { return is_served(pattern, agent.upstreams); });
    if (!served) unserved.push_back(pattern);
  }
  variables["GONOPROXY"] = unserved.empty() ? "none" : fmt::format("{}", fmt::join(unserved, ","));
  if (!go.private_patterns.empty()) variables["GOPRIVATE"] = fmt::format("{}", fmt::join(go.private_patterns, ","));
  if (go.sumdb.mode == config::SumDbMode::kOff) {
    variables["GOSUMDB"] = "off";
    return variables;
  }
  // The go command knows the key of sum.golang.org by itself; of any other it must be told.
  variables["GOSUMDB"] = go.sumdb.key.empty() || go.sumdb.key == config::kSumGolangOrgKey ? go.sumdb.name : go.sumdb.key;
  std::vector<std::string> unchecked = go.private_patterns;
  unchecked.insert(unchecked.end(), go.sumdb.exempt.begin(), go.sumdb.exempt.end());
  if (!unchecked.empty()) variables["GONOSUMDB"] = fmt::format("{}", fmt::join(unchecked, ","));
  return variables;
}

std::string service_url(const std::string& policy, const std::string& installation_namespace) {
  return fmt::format("http://cistern-{}.{}.svc:{}", plan::short_name(policy), installation_namespace, kPodsPort);
}

}  // namespace cistern::render
