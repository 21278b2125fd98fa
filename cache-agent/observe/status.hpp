// What /status and /healthz answer: JSON, for the live status of standalone mode, the operator and people. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache-agent/observe/metrics.hpp"
#include "cache-agent/store/store.hpp"

namespace cistern::observe {

// An object being fetched.
struct FillStatus {
  std::string key;
  std::uint64_t received = 0;
  std::optional<std::uint64_t> total;  // absent while unknown
  std::string upstream;
};

// One of the group's agents, as this one sees it.
struct PeerStatus {
  std::string address;
  std::string zone;
  bool self = false;
  bool passed_over = false;
};

struct Status {
  std::vector<FillStatus> fills;
  std::vector<PeerStatus> peers;
  std::vector<UpstreamStatus> upstreams;
  std::string config_hash;
  std::string policy;
  std::string version;
  store::Stats store;
};

// {"fills":[{"key","received","total","upstream"}],
//  "upstreams":[{"name","state":"closed"|"half-open"|"open","failures","error",
//                "connect_ms","ttfb_ms","total_ms","jitter_ms","score_ms","samples":{"requests","probes"},"preferred":true|false|null,
//                "canary":null|{"state":"active"|"trial"|"withdrawn","percent","canary":{"asked","failed","ttfb_ms"},"rest":{…},"reason",
//                               "retry_in_s","withdrawals"}}],
//  "peers":[{"address","zone","self","passed_over"}],"config_hash","policy","version","store":{"bytes","objects","blobs","evictions","reserved"}};
//  what is not known is null.
std::string status_json(const Status& status);

// {"status":"ok","config_hash","policy","version"}
std::string health_json(std::string_view config_hash, std::string_view policy, std::string_view version);

}  // namespace cistern::observe
