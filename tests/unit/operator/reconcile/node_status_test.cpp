// What a status says of how nodes' runtimes are set up.
#include <gmock/gmock.h>

#include "tests/unit/operator/reconcile/status_world.hpp"

namespace cistern::reconcile {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

struct NodeWorld : World {
  NodeWorld() {
    group().node_mode = model::NodeConfigMode::kApply;
    for (const auto& name : group().nodes) {
      auto& made = group().node_setups.emplace_back();
      made.node = name;
      made.state = NodeSetupState::kConfigured;
    }
  }
  NodeSetup& setup(std::size_t index) { return group().node_setups.at(index); }
  std::string told(const char* type) const {
    const auto one = condition(status(), type);
    return fmt::format("{} {} {}", one.at("status").get<std::string>(), one.at("reason").get<std::string>(),
                       one.at("message").get<std::string>());
  }
};

TEST(NodeStatus, WhereNodesAreToldNothingNothingIsSaidOfThem) {
  const World world;
  EXPECT_EQ(world.status().at("nodes"), json({{"selected", 3}}));
}

TEST(NodeStatus, AWishForStrictRegistriesThatNobodyCanFulfilIsTold) {
  World world;
  world.state.strict_in_vain = true;
  EXPECT_THAT(condition(world.status(), "Accepted").at("message").get<std::string>(),
              HasSubstr("needs the node program, which is not installed"));
}

TEST(NodeStatus, CountsNodes) {
  NodeWorld world;
  world.setup(0).state = NodeSetupState::kFailed;
  world.setup(1).state = NodeSetupState::kSilent;
  world.setup(2).drift = 1;
  EXPECT_EQ(world.status().at("nodes"),
            json({{"selected", 3}, {"configured", 1}, {"drifted", 1}, {"failed", 1}, {"unsupported", 0}, {"stale", 1}}));
}

TEST(NodeStatus, NodesOnTheirWayAreReconciling) {
  NodeWorld world;
  world.setup(1).state = NodeSetupState::kWaiting;
  EXPECT_THAT(world.told("Ready"),
              HasSubstr("False NodesWaiting 3 of 3 agents ready and in force. The runtime of 1 node is not set up yet: n2."));
  EXPECT_THAT(world.told("Reconciling"), HasSubstr("True NodesWaiting"));
  EXPECT_THAT(world.told("Degraded"), HasSubstr("False"));
  world.setup(1).message = "waits for this node's agent: connection refused";
  EXPECT_THAT(world.told("Ready"), Not(HasSubstr("connection refused"))) << "it is not its turn";
  world.setup(1).its_turn = true;
  EXPECT_THAT(world.told("Ready"), HasSubstr("n2: waits for this node's agent: connection refused."));
  world.setup(1).reachable = false;
  EXPECT_THAT(world.told("Ready"), HasSubstr("True InForce")) << "a node that can not be reached is not waited for";
}

TEST(NodeStatus, WhatDoesNotGetBetterByWaitingIsDegradedAndNotReconciling) {
  for (const auto& [state, reason] :
       {std::pair(NodeSetupState::kFailed, "NodeConfigFailed"), std::pair(NodeSetupState::kUnsupported, "NodeUnsupported"),
        std::pair(NodeSetupState::kSilent, "HeartbeatStale")}) {
    NodeWorld world;
    world.setup(1).state = state;
    world.setup(1).message = "what the node says";
    EXPECT_THAT(world.told("Ready"), HasSubstr("True InForce"));
    EXPECT_THAT(world.told("Reconciling"), HasSubstr("False Done"));
    EXPECT_THAT(world.told("Degraded"), HasSubstr(std::string("True ") + reason));
    EXPECT_THAT(world.told("Degraded"), HasSubstr("n2"));
  }
}

TEST(NodeStatus, NodesThatWaitForFailedOnesAreToldWithThem) {
  NodeWorld world;
  world.setup(0).state = NodeSetupState::kFailed;
  world.setup(0).message = "disk full";
  world.setup(1).state = world.setup(2).state = NodeSetupState::kWaiting;
  world.group().held_by_failed = true;
  EXPECT_THAT(world.told("Reconciling"), HasSubstr("False Done"));
  EXPECT_THAT(world.told("Degraded"), HasSubstr("n1: disk full"));
  EXPECT_THAT(world.told("Degraded"), HasSubstr("2 more nodes wait until that is mended"));
}

TEST(NodeStatus, FilesLeftAsSomebodyWantsThemAreTold) {
  NodeWorld world;
  world.setup(2).drift = 1;
  world.setup(2).message = "left alone, as marked: /etc/containerd/certs.d/docker.io/hosts.toml";
  EXPECT_THAT(world.told("Degraded"),
              HasSubstr("True Drifted Files on 1 node are not as the policy says, and are left so: n3: left alone, as marked"));
  EXPECT_THAT(world.told("Ready"), HasSubstr("True InForce"));
}

TEST(NodeStatus, AReportIsNoAlarm) {
  NodeWorld world;
  world.group().node_mode = model::NodeConfigMode::kReport;
  for (std::size_t i = 0; i < 3; ++i) {
    world.setup(i).state = NodeSetupState::kReported;
    world.setup(i).message = "would write /etc/containerd/certs.d/docker.io/hosts.toml";
  }
  EXPECT_THAT(world.told("Ready"), HasSubstr("True InForce"));
  EXPECT_THAT(world.told("Ready"), HasSubstr("nothing is written on 3 nodes: n1, n2, n3; n1: would write /etc/containerd"));
  EXPECT_THAT(world.told("Degraded"), HasSubstr("False"));
}

TEST(NodeStatus, RegistriesKeptInFallbackAreNamedWithoutAlarm) {
  NodeWorld world;
  world.group().kept_in_fallback = {"docker.io"};
  world.setup(1).kept_in_fallback = {"registry.k8s.io"};
  EXPECT_EQ(world.status().at("nodes").at("keptInFallback"), json({"docker.io", "registry.k8s.io"}));
  EXPECT_THAT(world.told("Accepted"), HasSubstr("True AcceptedWithNotices"));
  EXPECT_THAT(world.told("Accepted"), HasSubstr("docker.io, registry.k8s.io"));
  EXPECT_THAT(world.told("Degraded"), HasSubstr("False"));
}

}  // namespace
}  // namespace cistern::reconcile
