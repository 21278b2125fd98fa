// tags/list and referrers, and the metrics of it all.
#include "oci_fixture.hpp"

namespace cistern::conformance {
namespace {

class OciListing : public OciTest {
 protected:
  const Image image = make_image({1000});
  const std::string tags = "/v2/team/app/tags/list";
  const std::string referrers = "/v2/team/app/referrers/" + image.manifest.digest;
  // The path and query of a Link to the next page; empty if there is none.
  static std::string next(const Answer& answer) {
    const auto link = answer.header("Link");
    const auto begin = link.find('<');
    const auto end = link.find('>');
    return begin == std::string::npos || end == std::string::npos ? "" : link.substr(begin + 1, end - begin - 1);
  }
};

TEST_F(OciListing, PagesOfTagsLeadBackToUs) {
  hub.on(tags + "?n=1",
         Reply{.headers = {{"Link", "<" + hub.url() + tags + "?n=1&last=a>; rel=\"next\""}, {"Content-Type", "application/json"}},
               .body = R"({"name":"team/app","tags":["a"]})"});
  hub.on(tags + "?n=1&last=a", Reply{.headers = {{"Content-Type", "application/json"}}, .body = R"({"name":"team/app","tags":["b"]})"});
  start();
  const auto first = get(agent->node(), tags + "?ns=docker.io&n=1");
  EXPECT_EQ(first.status, 200u);
  EXPECT_EQ(first.body, R"({"name":"team/app","tags":["a"]})");
  const auto target = next(first);
  ASSERT_EQ(target.find("/v2/"), 0u) << first.header("Link");
  const auto second = get(agent->node(), target);
  EXPECT_EQ(second.status, 200u) << target;
  EXPECT_EQ(second.body, R"({"name":"team/app","tags":["b"]})");
}

TEST_F(OciListing, ReferrersKeepTheirFilterAndPages) {
  const auto index = make_index({});
  hub.on(referrers + "?artifactType=sbom", Reply{.headers = {{"OCI-Filters-Applied", "artifactType"},
                                                             {"Content-Type", kIndexType},
                                                             {"Link", "<" + referrers + "?page=2>; rel=\"next\""}},
                                                 .body = index.bytes});
  start();
  const auto answer = get(agent->node(), "/v2/docker.io/team/app/referrers/" + image.manifest.digest + "?artifactType=sbom");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.body, index.bytes);
  EXPECT_EQ(answer.header("OCI-Filters-Applied"), "artifactType");
  EXPECT_EQ(answer.header("Content-Type"), kIndexType);
  EXPECT_EQ(next(answer), "/v2/docker.io/team/app/referrers/" + image.manifest.digest + "?page=2");
}

TEST_F(OciListing, WithoutReferrersTheClientIsToldSo) {
  start();
  EXPECT_EQ(get(agent->node(), referrers + "?ns=docker.io").status, 404u);
}

TEST_F(OciListing, RequestsAreCountedInTheMetrics) {
  publish(hub, "team/app", "v1", image);
  start();
  const auto target = blob_target("team/app", image.layers[0].digest);
  ask(target);
  ask(target);
  // The client has its answer before the agent has counted it.
  EXPECT_TRUE(eventually([&] {
    return agent->metric("cistern_requests_total{ecosystem=\"oci\",result=\"hit\",code=\"200\"}").value_or(0) >= 1;
  })) << get(agent->admin(), "/metrics").body;
  EXPECT_GE(agent->metric("cistern_requests_total{ecosystem=\"oci\",result=\"miss\",code=\"200\"}").value_or(0), 1);
  EXPECT_GE(agent->metric("cistern_store_objects").value_or(0), 1);
  EXPECT_GE(agent->metric("cistern_store_bytes").value_or(0), 1000);
  EXPECT_TRUE(agent->metric("cistern_fills_inflight").has_value());
  const auto metrics = get(agent->admin(), "/metrics").body;
  for (const auto* name :
       {"cistern_request_duration_seconds", "cistern_sent_bytes_total", "cistern_upstream_requests_total",
        "cistern_upstream_received_bytes_total", "cistern_upstream_state", "cistern_store_evictions_total", "cistern_config_info"}) {
    EXPECT_NE(metrics.find(name), std::string::npos) << name;
  }
  EXPECT_EQ(get(agent->admin(), "/readyz").status, 200u);
  EXPECT_EQ(get(agent->admin(), "/status").status, 200u);
}

}  // namespace
}  // namespace cistern::conformance
