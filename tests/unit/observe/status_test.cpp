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
  health.latency = std::chrono::milliseconds(12);
  health.last_error = "refused";
  status.upstreams = {{"quay.io", health}, {"main", {}}};
  status.peers = {{"10.0.0.1:5050", "a", true, false}, {"10.0.0.2:5050", "b", false, true}};
  status.config_hash = "0123456789abcdef";
  status.policy = "default";
  status.version = "1.2.3";
  status.store.bytes = 7;
  status.store.blobs = 2;
  EXPECT_EQ(json::parse(status_json(status)), json::parse(R"({
    "fills": [{"key": "oci/quay.io/blob", "received": 10, "total": 100, "upstream": "quay.io"},
              {"key": "go/x", "received": 5, "total": null, "upstream": "main"}],
    "upstreams": [{"name": "quay.io", "state": "half-open", "failures": 4, "latency_ms": 12, "error": "refused"},
                  {"name": "main", "state": "closed", "failures": 0, "latency_ms": null, "error": ""}],
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
