#include "operator/reconcile/node_lease.hpp"

#include <gmock/gmock.h>

#include "operator/node/lease.hpp"
#include "operator/reconcile/informer.hpp"
#include "operator/reconcile/trim.hpp"
#include "tests/fakes/manual_clock.hpp"

namespace cistern::reconcile {
namespace {

using kube::Json;
using std::chrono::seconds;

// As the node program writes it; the clock of `ManualClock` begins at 2025-06-15T15:23:20Z.
Json lease_at(const std::string& time, const node::Report& report = {}) {
  return {{"metadata",
           {{"name", "cistern-node-n1"},
            {"namespace", "cistern-system"},
            {"annotations", node::annotations_of(report)},
            {"labels", {{"a", "b"}}}}},
          {"spec", {{"holderIdentity", "n1"}, {"renewTime", time}}}};
}
constexpr const char* kNow = "2025-06-15T15:23:20.000000Z";

TEST(NodeLease, IsReadAsTheNodeProgramWritesIt) {
  node::Report report;
  report.group = "default";
  report.config_hash = "c";
  report.applied_hash = "a";
  report.state = "Failed";
  report.message = "disk full";
  report.drift = 2;
  report.failures = 5;
  report.kept_in_fallback = {"docker.io", "registry.k8s.io"};
  auto object = lease_at(kNow, report);
  object["metadata"]["annotations"]["cistern.dev/granted-hash"] = "g";
  trim_lease(object);
  const auto lease = node_lease(object);
  EXPECT_EQ(lease.node, "n1");
  EXPECT_EQ(lease.group, "default");
  EXPECT_EQ(lease.config_hash, "c");
  EXPECT_EQ(lease.applied_hash, "a");
  EXPECT_EQ(lease.granted, "g");
  EXPECT_EQ(lease.state, "Failed");
  EXPECT_EQ(lease.message, "disk full");
  EXPECT_EQ(lease.drift, 2U);
  EXPECT_EQ(lease.failures, 5U);
  EXPECT_THAT(lease.kept_in_fallback, testing::ElementsAre("docker.io", "registry.k8s.io"));
  EXPECT_TRUE(lease.holds_something());
  EXPECT_FALSE(node_lease(lease_at(kNow)).holds_something());
}

class HeartbeatsTest : public testing::Test {
 protected:
  void hear(Json lease) { heartbeats_.take(lease); }
  seconds silence() { return std::chrono::duration_cast<seconds>(clock_.steady() - heartbeats_.last("n1")); }

  fakes::ManualClock clock_;
  Heartbeats heartbeats_{clock_};
};

TEST_F(HeartbeatsTest, ARenewalAloneIsNoChangeOfTheObject) {
  std::size_t told = 0;
  ObjectCache cache(
      [this](Json& lease) {
        heartbeats_.take(lease);
        trim_lease(lease);
      },
      {}, [&](const Object&, const Object&) { ++told; });
  cache.replace({lease_at(kNow)});
  const auto before = cache.changes();
  told = 0;
  clock_.advance(seconds(100));
  cache.changed(lease_at("2025-06-15T15:25:00.000000Z"));
  EXPECT_EQ(told, 0U);
  EXPECT_EQ(cache.changes(), before);
  EXPECT_EQ(silence(), seconds(0));
  node::Report report;
  report.state = "Applied";
  cache.changed(lease_at("2025-06-15T15:25:00.000000Z", report));
  EXPECT_EQ(told, 1U);
}

TEST_F(HeartbeatsTest, ANodeThatWasDeadBeforeTheOperatorStartedStaysDead) {
  hear(lease_at("2025-06-15T15:13:20.000000Z"));
  EXPECT_EQ(silence(), seconds(600));
  clock_.advance(seconds(5));
  hear(lease_at("2025-06-15T15:13:20.000000Z"));  // listed again
  EXPECT_EQ(silence(), seconds(605));
  hear(lease_at("2025-06-15T15:13:21.000000Z"));  // its clock is slow, but it lives
  EXPECT_EQ(silence(), seconds(0));
}

TEST_F(HeartbeatsTest, AClockThatIsFastMakesNobodyLiveLonger) {
  hear(lease_at("2026-01-01T00:00:00.000000Z"));
  EXPECT_EQ(silence(), seconds(0));
  clock_.advance(seconds(301));
  EXPECT_EQ(silence(), seconds(301));
}

TEST_F(HeartbeatsTest, OfANodeThatWasNeverHeardOfTimeBeginsWithTheFirstQuestion) {
  EXPECT_EQ(silence(), seconds(0));
  clock_.advance(seconds(301));
  EXPECT_EQ(silence(), seconds(301));
  heartbeats_.forget("n1");
  EXPECT_EQ(silence(), seconds(0));
}

TEST(SystemPods, OnlyWhatIsCriticalNamesItsRegistries) {
  const auto trimmed = [](const char* priority) {
    Json pod{{"metadata", {{"name", "p"}, {"namespace", "kube-system"}, {"labels", {{"a", "b"}}}}},
             {"spec",
              {{"priorityClassName", priority},
               {"containers", {{{"image", "registry.k8s.io/kube-proxy:v1"}}, {{"image", "busybox"}}}},
               {"initContainers", {{{"image", "quay.io:443/cni/install@sha256:0"}}}}}}};
    trim_system_pod(pod);
    trim_system_pod(pod);  // as lists are trimmed page by page, too
    return pod;
  };
  EXPECT_EQ(trimmed("system-node-critical")["registries"], Json({"docker.io", "quay.io:443", "registry.k8s.io"}));
  EXPECT_EQ(trimmed("system-cluster-critical")["registries"].size(), 3U);
  EXPECT_EQ(trimmed("other"), Json({{"metadata", {{"name", "p"}, {"namespace", "kube-system"}}}}));
}

}  // namespace
}  // namespace cistern::reconcile
