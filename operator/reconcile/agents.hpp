// What the agents of a cluster say about themselves, asked on their admin listeners: which configuration is in force, how their upstreams
// do, what they served. Many at once, each within a time limit.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace cistern::reconcile {

// As requests and probes have found it lately; in milliseconds.
struct UpstreamSpeed {
  std::optional<float> connect, first_byte, total, jitter, score;
  std::optional<bool> preferred;  // with `selection: Fastest`, where there is a choice
};

struct UpstreamState {
  std::string name;
  std::string state;                  // closed | half-open | open
  std::string error;                  // the last failure, without secrets; empty if there was none
  std::string canary_withdrawn = {};  // why it gets no share of the objects now, with numbers; empty: it does, or is no canary
  UpstreamSpeed speed = {};
};

// Counters are since the agent's start.
struct AgentReport {
  std::string config_hash;  // in force
  std::string version;
  std::vector<UpstreamState> upstreams;
  std::uint64_t hits = 0;  // hit, stale and revalidated
  std::uint64_t misses = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t upstream_bytes = 0;
  std::uint64_t stored_bytes = 0;
};

// One thread at a time; ask() blocks until every agent has answered or is over its limit.
class AgentProbe {
 public:
  virtual ~AgentProbe() = default;
  // `addresses`: HOST or V6 of the pods; asked at `port`. One result for each, in order.
  virtual std::vector<Result<AgentReport>> ask(const std::vector<std::string>& addresses, std::uint16_t port,
                                               std::chrono::milliseconds limit) = 0;
};

// Over libcurl; at most `parallel` connections.
std::unique_ptr<AgentProbe> make_agent_probe(std::size_t parallel = 64);

}  // namespace cistern::reconcile
