#include "operator/standalone/status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/standalone/agent_http.hpp"

namespace cistern::standalone {
namespace {

using testing::ElementsAre;

constexpr const char* kMetrics = R"(# HELP cistern_requests_total Requests.
# TYPE cistern_requests_total counter
cistern_requests_total{ecosystem="go",result="hit",code="200"} 90
cistern_requests_total{ecosystem="go",result="stale",code="200"} 1
cistern_requests_total{ecosystem="oci",result="miss",code="200"} 9
cistern_requests_total{ecosystem="go",result="",code="404"} 4
cistern_requests_total{ecosystem="",result="hit",code="200"} 700
cistern_sent_bytes_total 1.5e+06
cistern_upstream_received_bytes_total{upstream="a"} 1024
cistern_upstream_received_bytes_total{upstream="b"} 1024
cistern_store_bytes 2048
cistern_store_objects 2
somebody_elses 5
)";

TEST(Status, adds_up_the_agents_metrics) {
  AgentStatus status;
  read_metrics(kMetrics, status);
  EXPECT_EQ(summary(status), "104 requests, hit ratio 91 %, sent 1.4 MiB, from upstreams 2.0 KiB, stored 2.0 KiB in 2 objects");
}

TEST(Status, without_requests_has_no_ratio) { EXPECT_EQ(hit_ratio({}), "-"); }

TEST(Status, the_live_view_fits_the_terminal_and_shows_fills_and_sick_upstreams) {
  AgentStatus status;
  read_metrics(kMetrics, status);
  ASSERT_TRUE(read_status(R"({"fills": [{"key": "oci/docker.io/library/nginx", "received": 1048576, "total": 4194304, "upstream": "hub"},
                                        {"key": "go/x", "received": 10, "total": null, "upstream": "main"}],
                              "upstreams": [{"name": "main", "state": "closed", "failures": 0}, {"name": "hub", "state": "open", "failures": 5}],
                              "config_hash": "0"})",
                          status));
  EXPECT_THAT(live_lines({"default", "127.0.0.1:5050", "in force", "Go, docker.io"}, status, 75),
              ElementsAre("cistern in force  policy default  on 127.0.0.1:5050  serves Go, docker.io",
                          "  104 requests, hit ratio 91 %, sent 1.4 MiB, from upstreams 2.0 KiB, store",
                          "  upstreams: main ok, hub open (5 failures)", "  2 fills in progress:",
                          "     25 %    1.0 MiB  oci/docker.io/library/nginx  from hub", "        -       10 B  go/x  from main"));
}

TEST(Status, nonsense_is_an_error) {
  AgentStatus status;
  EXPECT_FALSE(read_status("<html>", status));
  EXPECT_FALSE(read_status("{\"fills\": 5}", status));
}

TEST(AgentAddress, is_reached_on_loopback_with_the_next_port_for_numbers) {
  EXPECT_EQ(agent_address("0.0.0.0:5050")->listener, "127.0.0.1:5050");
  EXPECT_EQ(agent_address("[::]:5050")->listener, "[::1]:5050");
  EXPECT_EQ(agent_address("10.0.0.1:80")->listener, "10.0.0.1:80");
  EXPECT_EQ(agent_address("10.0.0.1:80")->admin, "127.0.0.1:81");
  for (const auto* bad : {"", "5050", "a:0", "a:65535", "a:b"}) EXPECT_FALSE(agent_address(bad)) << bad;
}

}  // namespace
}  // namespace cistern::standalone
