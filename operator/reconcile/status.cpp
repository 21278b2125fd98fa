#include "operator/reconcile/status.hpp"

#include <fmt/chrono.h>

#include <algorithm>

#include "operator/reconcile/conditions.hpp"
#include "operator/reconcile/node_setups.hpp"

namespace cistern::reconcile {
namespace {

using nlohmann::json;

constexpr std::size_t kGroupsShown = 16;
constexpr std::size_t kRegistriesShown = 16;

std::string timestamp(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

// Since when the object has had the condition with this status; empty if it has not.
std::string since(const json& object, const Condition& condition) {
  const auto status = object.find("status");
  if (status == object.end() || !status->is_object()) return {};
  const auto conditions = status->find("conditions");
  if (conditions == status->end() || !conditions->is_array()) return {};
  for (const auto& one : *conditions) {
    if (!one.is_object() || one.value("type", json()) != condition.type || one.value("status", json()) != condition.status) continue;
    const auto time = one.value("lastTransitionTime", json());
    return time.is_string() ? time.get<std::string>() : std::string();
  }
  return {};
}

json conditions_json(const PolicyState& state, const Agents& agents, const json& generation, WallTime now) {
  auto list = json::array();
  for (auto& condition : conditions_of(state, agents)) {
    auto time = since(*state.object, condition);
    if (time.empty()) time = timestamp(now);
    list.push_back({{"type", std::move(condition.type)},
                    {"status", std::move(condition.status)},
                    {"reason", std::move(condition.reason)},
                    {"message", std::move(condition.message)},
                    {"observedGeneration", generation},
                    {"lastTransitionTime", std::move(time)}});
  }
  return list;
}

// Two digits, the rest zeros, downwards.
std::uint64_t rounded(std::uint64_t value) {
  std::uint64_t unit = 1;
  while (value / unit >= 100) unit *= 10;
  return value / unit * unit;
}

json cache_json(const CacheTotals& totals) {
  json cache = {{"storedBytes", rounded(totals.stored_bytes)},
                {"upstreamBytesSaved", rounded(totals.sent_bytes > totals.upstream_bytes ? totals.sent_bytes - totals.upstream_bytes : 0)}};
  if (const auto all = totals.hits + totals.misses; all > 0) {
    const auto percent = totals.hits * 100 / all;  // downwards: 1.00 means every one
    cache["hitRatio"] = fmt::format("{}.{:02}", percent / 100, percent % 100);
  }
  return cache;
}

json group_json(const Agents::Group& group) {
  json one = {
      {"name", group.state->group}, {"nodes", group.agents.size()}, {"ready", group.in_force}, {"configHash", group.state->config_hash}};
  if (!group.state->region.empty()) one["region"] = group.state->region;
  if (!group.state->profile.empty()) one["profile"] = group.state->profile;
  return one;
}

json nodes_json(const PolicyState& state, std::size_t selected) {
  json nodes = {{"selected", selected}};
  const auto setups = look_at_node_setups(state);
  if (!setups.told) return nodes;
  nodes["configured"] = setups.configured;
  nodes["drifted"] = setups.drifted.size();
  nodes["failed"] = setups.failed.size();
  nodes["unsupported"] = setups.unsupported.size();
  nodes["stale"] = setups.silent.size();
  if (!setups.kept_in_fallback.empty()) {
    std::vector<std::string> kept(setups.kept_in_fallback.begin(), setups.kept_in_fallback.end());
    kept.resize(std::min(kept.size(), kRegistriesShown));
    nodes["keptInFallback"] = std::move(kept);
  }
  return nodes;
}

}  // namespace

json policy_status(const PolicyState& state, const CacheTotals& totals, WallTime now) {
  const auto agents = look_at_agents(state);
  const auto generation = state.object->at("metadata").value("generation", json(0));
  const auto selected = std::max(agents.desired, state.outcome == nullptr ? 0 : state.outcome->nodes);
  json status = {
      {"observedGeneration", generation},
      {"conditions", conditions_json(state, agents, generation, now)},
      {"agents", {{"desired", selected}, {"ready", agents.in_force}, {"summary", fmt::format("{}/{}", agents.in_force, selected)}}},
      {"nodes", nodes_json(state, selected)},
      {"cache", cache_json(totals)},
      {"groups", json::array()}};
  const auto shown = std::min(kGroupsShown, agents.groups.size());
  for (std::size_t i = 0; i < shown; ++i) status["groups"].push_back(group_json(agents.groups[i]));
  if (shown < agents.groups.size()) status["groupsOmitted"] = agents.groups.size() - shown;
  return status;
}

}  // namespace cistern::reconcile
