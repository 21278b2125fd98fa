#include "cache-agent/observe/status.hpp"

#include <nlohmann/json.hpp>

namespace cistern::observe {
namespace {

using nlohmann::json;

std::string dump(const json& document) { return document.dump(-1, ' ', false, json::error_handler_t::replace); }

const char* to_string(upstream::BreakerState state) {
  switch (state) {
    case upstream::BreakerState::kClosed: return "closed";
    case upstream::BreakerState::kHalfOpen: return "half-open";
    case upstream::BreakerState::kOpen: return "open";
  }
  return "closed";
}

json to_json(const FillStatus& fill) {
  return {{"key", fill.key}, {"received", fill.received}, {"total", fill.total ? json(*fill.total) : json()}, {"upstream", fill.upstream}};
}

// To a tenth of one; null where nobody knows.
json in_milliseconds(std::optional<std::chrono::microseconds> time) {
  if (!time) return {};
  const auto tenths = (time->count() + 50) / 100;
  return static_cast<double>(tenths) / 10;
}

json to_json(const upstream::CanaryHealth::Side& side) {
  return {{"asked", side.asked}, {"failed", side.failed}, {"ttfb_ms", side.first_byte ? json(side.first_byte->count()) : json()}};
}

json to_json(const upstream::CanaryHealth& canary) {
  static constexpr const char* kStates[] = {"active", "trial", "withdrawn"};
  return {{"state", kStates[static_cast<int>(canary.state)]},
          {"percent", canary.percent},
          {"canary", to_json(canary.canary)},
          {"rest", to_json(canary.rest)},
          {"reason", canary.reason},
          {"retry_in_s", canary.retry_in ? json(canary.retry_in->count()) : json()},
          {"withdrawals", canary.withdrawals}};
}

json to_json(const UpstreamStatus& upstream) {
  const auto& health = upstream.health;
  const auto& measures = health.measures;
  const auto& track = measures.track();
  const auto measured = [&](std::chrono::microseconds time) {
    return in_milliseconds(track.samples > 0 ? std::optional(time) : std::nullopt);
  };
  return {{"name", upstream.name},
          {"state", to_string(health.state)},
          {"failures", health.consecutive_failures},
          {"error", health.last_error},
          {"connect_ms", in_milliseconds(measures.connect)},
          {"ttfb_ms", measured(track.first_byte)},
          {"total_ms", in_milliseconds(measures.total)},
          {"jitter_ms", measured(track.jitter)},
          {"score_ms", measured(measures.score(track))},
          {"samples", {{"requests", measures.requests.samples}, {"probes", measures.probes.samples}}},
          {"preferred", upstream.preferred ? json(*upstream.preferred) : json()},
          {"canary", health.canary ? to_json(*health.canary) : json()}};
}

}  // namespace

std::string status_json(const Status& status) {
  auto fills = json::array();
  for (const auto& fill : status.fills) fills.push_back(to_json(fill));
  auto upstreams = json::array();
  for (const auto& one : status.upstreams) upstreams.push_back(to_json(one));
  auto peers = json::array();
  for (const auto& peer : status.peers) {
    peers.push_back({{"address", peer.address}, {"zone", peer.zone}, {"self", peer.self}, {"passed_over", peer.passed_over}});
  }
  return dump({{"fills", std::move(fills)},
               {"upstreams", std::move(upstreams)},
               {"peers", std::move(peers)},
               {"config_hash", status.config_hash},
               {"policy", status.policy},
               {"version", status.version},
               {"store",
                {{"bytes", status.store.bytes},
                 {"objects", status.store.objects},
                 {"blobs", status.store.blobs},
                 {"evictions", status.store.evictions},
                 {"reserved", status.store.reserved}}}});
}

std::string health_json(std::string_view config_hash, std::string_view policy, std::string_view version) {
  return dump({{"status", "ok"}, {"config_hash", config_hash}, {"policy", policy}, {"version", version}});
}

}  // namespace cistern::observe
