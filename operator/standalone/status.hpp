// What an agent tells about itself, and how a person sees it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/units.hpp"

namespace cistern::standalone {

struct Fill {
  std::string key;
  std::uint64_t received = 0;
  std::uint64_t total = 0;  // 0: not known
  std::string upstream;
};

struct UpstreamHealth {
  std::string name;
  std::string state;  // "closed" is healthy; "half-open", "open"
  std::uint64_t failures = 0;
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
  std::vector<Fill> fills;
  std::vector<UpstreamHealth> upstreams;
};

// Prometheus text; metrics that are not ours are passed over.
void read_metrics(std::string_view text, AgentStatus& status);
// {"fills":[{"key","received","total","upstream"}],"upstreams":[{"name","state","failures"}],…}
Result<void> read_status(std::string_view json, AgentStatus& status);

// "97 %", or "-" where nothing was asked for.
std::string hit_ratio(const AgentStatus& status);
// One line for a log.
std::string summary(const AgentStatus& status);

// The live view: lines of at most `width` characters.
struct View {
  std::string policy;
  std::string listen;
  std::string state;   // "in force", "starting" …
  std::string served;  // "Go, docker.io, quay.io"
};
std::vector<std::string> live_lines(const View& view, const AgentStatus& status, std::size_t width);

}  // namespace cistern::standalone
