// What an agent tells about itself on its admin listener, read from the texts that it answers with. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/units.hpp"

namespace cistern::agent_report {

struct Fill {
  std::string key;
  std::uint64_t received = 0;
  std::uint64_t total = 0;  // 0: not known
  std::string upstream;
};

// A canary, compared with the other upstreams of its list.
struct CanaryReport {
  std::string state;  // "active", "trial", "withdrawn"
  unsigned percent = 0;
  std::string reason;  // why it was withdrawn, with numbers
};

struct UpstreamHealth {
  std::string name;
  std::string state;  // "closed" is healthy; "half-open", "open"
  std::uint64_t failures = 0;
  std::string error;  // the last failure, without secrets; empty if there was none
  // In milliseconds; empty where nothing is known.
  std::optional<double> connect, first_byte, total, jitter, score;
  std::uint64_t samples = 0;      // requests and probes
  std::optional<bool> preferred;  // with `selection: Fastest`, where there is a choice
  std::optional<CanaryReport> canary;
};

struct AgentStatus {
  // From /metrics; since the agent's start.
  std::uint64_t hits = 0;  // hit, stale and revalidated
  std::uint64_t misses = 0;
  std::uint64_t requests = 0;
  Bytes sent;
  Bytes received;  // from upstreams
  Bytes stored;
  std::uint64_t objects = 0;
  // From /status.
  std::string config_hash;  // in force
  std::string version;
  std::vector<Fill> fills;
  std::vector<UpstreamHealth> upstreams;
};

// Prometheus text; metrics that are not ours are passed over.
void read_metrics(std::string_view text, AgentStatus& status);
// {"fills":[{"key","received","total","upstream"}],"upstreams":[{"name","state","failures","error","ttfb_ms",…}],"config_hash","version",…}
Result<void> read_status(std::string_view json, AgentStatus& status);

}  // namespace cistern::agent_report
