#include "cache-agent/observe/status.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace cistern::observe {
namespace {

using nlohmann::json;

TEST(Status, SaysWhatIsGoingOn) {
  Status status;
  status.fills = {{"oci/quay.io/blob", 10, 100, "quay.io"}, {"go/x", 5, std::nullopt, "main"}};
  upstream::Health health;
  health.state = upstream::BreakerState::kHalfOpen;
  health.consecutive_failures = 4;
  health.measures.requests = {7, std::chrono::microseconds(12'040), std::chrono::microseconds(1'500), {}, {}};
  health.measures.probes.samples = 2;
  health.measures.connect = std::chrono::milliseconds(3);
  health.last_error = "refused";
  upstream::Health canary;
  canary.canary.emplace();
  canary.canary->state = upstream::CanaryHealth::State::kWithdrawn;
  canary.canary->percent = 10;
  canary.canary->canary = {24, 6, std::chrono::milliseconds(80)};
  canary.canary->rest = {210, 0, std::nullopt};
  canary.canary->reason = "6 of 24 objects failed";
  canary.canary->retry_in = std::chrono::seconds(600);
  canary.canary->withdrawals = 1;
  status.upstreams = {{"quay.io", health, true}, {"main", canary, {}}};
  status.peers = {{"10.0.0.1:5050", "a", true, false}, {"10.0.0.2:5050", "b", false, true}};
  status.config_hash = "0123456789abcdef";
  status.policy = "default";
  status.version = "1.2.3";
  status.store.bytes = 7;
  status.store.blobs = 2;
  EXPECT_EQ(json::parse(status_json(status)), json::parse(R"({
    "fills": [{"key": "oci/quay.io/blob", "received": 10, "total": 100, "upstream": "quay.io"},
              {"key": "go/x", "received": 5, "total": null, "upstream": "main"}],
    "upstreams": [{"name": "quay.io", "state": "half-open", "failures": 4, "error": "refused", "connect_ms": 3.0, "ttfb_ms": 12.0,
                   "total_ms": null, "jitter_ms": 1.5, "score_ms": 13.5, "samples": {"requests": 7, "probes": 2}, "preferred": true,
                   "canary": null},
                  {"name": "main", "state": "closed", "failures": 0, "error": "", "connect_ms": null, "ttfb_ms": null, "total_ms": null,
                   "jitter_ms": null, "score_ms": null, "samples": {"requests": 0, "probes": 0}, "preferred": null,
                   "canary": {"state": "withdrawn", "percent": 10, "canary": {"asked": 24, "failed": 6, "ttfb_ms": 80},
                              "rest": {"asked": 210, "failed": 0, "ttfb_ms": null}, "reason": "6 of 24 objects failed",
                              "retry_in_s": 600, "withdrawals": 1}}],
    "peers": [{"address": "10.0.0.1:5050", "zone": "a", "self": true, "passed_over": false},
              {"address": "10.0.0.2:5050", "zone": "b", "self": false, "passed_over": true}],
    "config_hash": "0123456789abcdef", "policy": "default", "version": "1.2.3",
    "store": {"bytes": 7, "objects": 0, "blobs": 2, "evictions": 0, "reserved": 0}})"));
}

TEST(Status, NothingGoingOnIsEmptyLists) {
  const auto document = json::parse(status_json({}));
  EXPECT_EQ(document["fills"], json::array());
  EXPECT_EQ(document["upstreams"], json::array());
}

TEST(Health, NamesTheConfigurationInForce) {
  EXPECT_EQ(json::parse(health_json("0123456789abcdef", "default", "1.2.3")),
            json::parse(R"({"status": "ok", "config_hash": "0123456789abcdef", "policy": "default", "version": "1.2.3"})"));
}

TEST(Status, BytesThatAreNoTextDoNotBreakTheDocument) {
  Status status;
  status.fills = {{"key \xff", 0, std::nullopt, ""}};
  EXPECT_FALSE(json::parse(status_json(status), nullptr, false).is_discarded());
}

}  // namespace
}  // namespace cistern::observe
