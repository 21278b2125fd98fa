#include "operator/agent_report/report.hpp"

#include <gtest/gtest.h>

namespace cistern::agent_report {
namespace {

TEST(Report, names_what_is_in_force_and_why_an_upstream_is_left_alone) {
  AgentStatus status;
  ASSERT_TRUE(read_status(R"({"fills": [], "upstreams": [{"name": "hub", "state": "open", "failures": 5, "error": "hub: refused"},
                                                         {"name": "main", "state": "closed", "failures": 0}],
                              "config_hash": "0123456789abcdef", "version": "1.2.3", "policy": "default"})",
                          status));
  EXPECT_EQ(status.config_hash, "0123456789abcdef");
  EXPECT_EQ(status.version, "1.2.3");
  ASSERT_EQ(status.upstreams.size(), 2U);
  EXPECT_EQ(status.upstreams[0].state, "open");
  EXPECT_EQ(status.upstreams[0].failures, 5U);
  EXPECT_EQ(status.upstreams[0].error, "hub: refused");
  EXPECT_EQ(status.upstreams[1].error, "");
}

TEST(Report, tells_how_fast_upstreams_are_and_which_canary_is_withdrawn) {
  AgentStatus status;
  ASSERT_TRUE(read_status(
      R"({"fills": [], "upstreams": [
          {"name": "main", "state": "closed", "connect_ms": 3.5, "ttfb_ms": 12, "total_ms": null, "jitter_ms": 1.5, "score_ms": 13.5,
           "samples": {"requests": 7, "probes": 2}, "preferred": true, "canary": null},
          {"name": "next", "state": "closed", "connect_ms": null, "ttfb_ms": null, "total_ms": null, "jitter_ms": null, "score_ms": null,
           "samples": {"requests": 0, "probes": 0}, "preferred": null,
           "canary": {"state": "withdrawn", "percent": 10, "reason": "6 of 24 objects failed", "retry_in_s": 600}}],
          "config_hash": "h"})",
      status));
  const auto& main = status.upstreams.at(0);
  EXPECT_EQ(main.connect, 3.5);
  EXPECT_EQ(main.first_byte, 12);
  EXPECT_EQ(main.total, std::nullopt);
  EXPECT_EQ(main.jitter, 1.5);
  EXPECT_EQ(main.score, 13.5);
  EXPECT_EQ(main.samples, 9U);
  EXPECT_EQ(main.preferred, true);
  EXPECT_FALSE(main.canary);
  const auto& next = status.upstreams.at(1);
  EXPECT_EQ(next.preferred, std::nullopt);
  ASSERT_TRUE(next.canary);
  EXPECT_EQ(next.canary->state, "withdrawn");
  EXPECT_EQ(next.canary->percent, 10U);
  EXPECT_EQ(next.canary->reason, "6 of 24 objects failed");
}

TEST(Report, adds_up_counters_of_all_labels_and_passes_over_what_is_not_a_number_of_ours) {
  AgentStatus status;
  read_metrics(
      "# TYPE cistern_requests_total counter\n"
      "cistern_requests_total{ecosystem=\"go\",result=\"hit\",code=\"200\"} 3\n"
      "cistern_requests_total{ecosystem=\"oci\",result=\"revalidated\",code=\"200\"} 2\n"
      "cistern_requests_total{ecosystem=\"oci\",result=\"miss\",code=\"200\"} 1\n"
      "cistern_requests_total{ecosystem=\"\",result=\"hit\",code=\"200\"} 50\n"
      "cistern_upstream_received_bytes_total{upstream=\"a\"} 1000\n"
      "cistern_upstream_received_bytes_total{upstream=\"peer\"} 24\n"
      "cistern_sent_bytes_total 1e+06\n"
      "cistern_store_bytes NaN\n"
      "cistern_store_objects -1\n"
      "cistern_store_bytes\n"
      "somebody_elses 5",
      status);
  EXPECT_EQ(status.hits, 5U);
  EXPECT_EQ(status.misses, 1U);
  EXPECT_EQ(status.requests, 6U);
  EXPECT_EQ(status.received.count, 1024U);
  EXPECT_EQ(status.sent.count, 1000000U);
  EXPECT_EQ(status.stored.count, 0U);
  EXPECT_EQ(status.objects, 0U);
}

TEST(Report, nonsense_is_an_error) {
  AgentStatus status;
  for (const auto* text :
       {"", "<html>", "[]", "{}", R"({"fills": 5, "upstreams": []})", R"({"fills": [], "upstreams": [{"name": 1, "state": "open"}]})",
        R"({"fills": [], "upstreams": [], "config_hash": 7})"}) {
    EXPECT_FALSE(read_status(text, status)) << text;
  }
}

}  // namespace
}  // namespace cistern::agent_report
