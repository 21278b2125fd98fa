#include "operator/agent_report/report.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace cistern::agent_report {
namespace {

// The value of a label in "{a=\"x\",b=\"y\"}"; names and values of ours hold no escapes.
std::string_view label(std::string_view labels, std::string_view name) {
  const std::string wanted = fmt::format("{}=\"", name);
  for (auto at = labels.find(wanted); at != std::string_view::npos; at = labels.find(wanted, at + 1)) {
    if (at > 0 && labels[at - 1] != ',' && labels[at - 1] != '{') continue;
    const auto begin = at + wanted.size();
    return labels.substr(begin, labels.find('"', begin) - begin);
  }
  return {};
}

void add_metric(std::string_view name, std::string_view labels, std::uint64_t value, AgentStatus& status) {
  if (name == "cistern_requests_total") {
    // Without an ecosystem it is about the agent itself: health, and the numbers that we ask for.
    if (label(labels, "ecosystem").empty()) return;
    const auto result = label(labels, "result");
    status.requests += value;
    if (result == "hit" || result == "stale" || result == "revalidated") status.hits += value;
    if (result == "miss") status.misses += value;
  } else if (name == "cistern_sent_bytes_total") {
    status.sent.count += value;
  } else if (name == "cistern_upstream_received_bytes_total") {
    status.received.count += value;
  } else if (name == "cistern_store_bytes") {
    status.stored.count += value;
  } else if (name == "cistern_store_objects") {
    status.objects += value;
  }
}

template <class Value>
std::optional<Value> known(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<Value>();
}

// An agent of an earlier version says less.
UpstreamHealth upstream_health(const nlohmann::json& json) {
  UpstreamHealth health;
  health.name = json.at("name");
  health.state = json.at("state");
  health.failures = json.value("failures", std::uint64_t{0});
  health.error = json.value("error", "");
  health.connect = known<double>(json, "connect_ms");
  health.first_byte = known<double>(json, "ttfb_ms");
  health.total = known<double>(json, "total_ms");
  health.jitter = known<double>(json, "jitter_ms");
  health.score = known<double>(json, "score_ms");
  health.preferred = known<bool>(json, "preferred");
  if (const auto samples = known<nlohmann::json>(json, "samples")) {
    health.samples = samples->value("requests", std::uint64_t{0}) + samples->value("probes", std::uint64_t{0});
  }
  if (const auto canary = known<nlohmann::json>(json, "canary")) {
    health.canary = {canary->at("state"), canary->value("percent", 0U), canary->value("reason", "")};
  }
  return health;
}

}  // namespace

void read_metrics(std::string_view text, AgentStatus& status) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string_view::npos) continue;
    const auto brace = std::min(line.find('{'), space);
    double value = 0;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    if (!(value >= 0) || value > 9e18) continue;
    add_metric(line.substr(0, brace), line.substr(brace, space - brace), static_cast<std::uint64_t>(value), status);
  }
}

Result<void> read_status(std::string_view text, AgentStatus& status) {
  try {
    const auto json = nlohmann::json::parse(text);
    for (const auto& fill : json.at("fills")) {
      const auto& total = fill.at("total");  // null while it is not known
      status.fills.push_back(
          {fill.at("key"), fill.at("received"), total.is_null() ? 0 : total.get<std::uint64_t>(), fill.value("upstream", "")});
    }
    for (const auto& upstream : json.at("upstreams")) status.upstreams.push_back(upstream_health(upstream));
    status.config_hash = json.value("config_hash", "");
    status.version = json.value("version", "");
    return {};
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kUpstream, "the agent's status is not understood: {}", error.what());
  }
}

}  // namespace cistern::agent_report
