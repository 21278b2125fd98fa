#include "operator/node/lease.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/configuration.hpp"
#include "tests/fakes/api_server/api_server.hpp"
#include "tests/fakes/manual_clock.hpp"

namespace cistern::node {
namespace {

using std::chrono::seconds;

class LeaseTest : public testing::Test {
 protected:
  LeaseTest() {
    kube::Configuration where;
    where.server = api_.url();
    kube::ClientOptions options;
    options.timeout = seconds(1);
    client_ = std::move(*kube::make_client(where, options));
    writer_.emplace(*client_, clock_, "cistern-system", "n1");
    report_.state = "Applied";
  }
  // Mutating requests within so many seconds.
  std::size_t writes_in(int count) {
    api_.forget_requests();
    for (int i = 0; i < count; ++i) {
      clock_.advance(seconds(1));
      writer_->round(report_, "uid");
    }
    return api_.mutating_requests().size();
  }
  kube::Json lease() { return api_.object(kube::kLeases, {"cistern-system", "cistern-node-n1"}).value_or(kube::Json()); }

  fakes::ApiServer api_;
  fakes::ManualClock clock_;
  std::unique_ptr<kube::Client> client_;
  std::optional<LeaseWriter> writer_;
  Report report_;
};

TEST_F(LeaseTest, IsMadeWithItsNodeAsOwnerAndKeepsWhatTheOperatorWrote) {
  writer_->round(report_, "uid");
  EXPECT_EQ(lease()["metadata"]["ownerReferences"][0]["uid"], "uid");
  EXPECT_EQ(lease()["spec"]["leaseDurationSeconds"], 300);
  EXPECT_EQ(kube::annotation(lease(), "cistern.dev/applied-hash"), "none");
  api_.patch(kube::kLeases, {"cistern-system", "cistern-node-n1"},
             {{"metadata", {{"annotations", {{std::string(kGrantedAnnotation), "h"}}}}}});
  report_.applied_hash = "h";
  EXPECT_EQ(writes_in(3), 1U);
  EXPECT_EQ(kube::annotation(lease(), kGrantedAnnotation), "h");
  EXPECT_EQ(kube::annotation(lease(), "cistern.dev/applied-hash"), "h");
}

TEST_F(LeaseTest, IsRenewedSeldomWhenSteadyAndOftenDuringAChange) {
  writer_->round(report_, "");
  const auto steady = writes_in(1200);
  EXPECT_GE(steady, 10U);
  EXPECT_LE(steady, 20U);
  report_.busy = true;
  report_.state = "Waiting";
  EXPECT_GE(writes_in(20), 9U);
}

TEST_F(LeaseTest, OutlivesAnApiServerThatIsAway) {
  writer_->round(report_, "");
  api_.add_fault({.method = "PATCH", .times = 0, .status = 500});
  report_.state = "Waiting";
  EXPECT_LE(writes_in(30), 15U);
  api_.clear_faults();
  writes_in(11);
  EXPECT_EQ(kube::annotation(lease(), "cistern.dev/state"), "Waiting");
}

}  // namespace
}  // namespace cistern::node
