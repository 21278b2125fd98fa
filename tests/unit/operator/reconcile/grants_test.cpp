#include "operator/reconcile/grants.hpp"

#include <gmock/gmock.h>

#include <set>

namespace cistern::reconcile {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kNew = "new";

GroupNode node_waiting(const std::string& name) {
  GroupNode node;
  node.name = name;
  node.lease = NodeLease();
  node.lease->node = name;
  node.lease->config_hash = kNew;
  node.lease->applied_hash = "old";
  node.lease->granted = "old";
  node.lease->state = "Waiting";
  node.agent_ready = true;
  return node;
}

std::vector<GroupNode> nodes_waiting(std::size_t count) {
  std::vector<GroupNode> nodes;
  for (std::size_t i = 0; i < count; ++i) nodes.push_back(node_waiting(fmt::format("n{:04}", i)));
  return nodes;
}

void grant(GroupNode& node) { node.lease->granted = kNew; }
void succeed(GroupNode& node) {
  grant(node);
  node.lease->applied_hash = kNew;
  node.lease->state = "Applied";
}
void let_fail(GroupNode& node) {
  grant(node);
  node.lease->state = "Failed";
  node.lease->failures = 3;
}

std::vector<std::string> granted(const std::vector<GroupNode>& nodes, std::size_t at_once, const std::string& hash = kNew) {
  std::vector<std::string> names;
  for (const auto& one : grants(nodes, hash, at_once).grants) names.push_back(one.node);
  return names;
}

TEST(Grants, PercentagesAreRoundedUpAndOneIsTheLeast) {
  EXPECT_EQ(nodes_at_once("10%", 2), 1U);
  EXPECT_EQ(nodes_at_once("10%", 10), 1U);
  EXPECT_EQ(nodes_at_once("10%", 11), 2U);
  EXPECT_EQ(nodes_at_once("0%", 100), 1U);
  EXPECT_EQ(nodes_at_once("100%", 5000), 5000U);
  EXPECT_EQ(nodes_at_once(0, 9), 1U);
  EXPECT_EQ(nodes_at_once(3, 9), 3U);
}

TEST(Grants, AsManyAsAllowedAreInChangeAtATime) {
  auto nodes = nodes_waiting(5);
  EXPECT_THAT(granted(nodes, 2), ElementsAre("n0000", "n0001"));
  grant(nodes[0]);
  grant(nodes[1]);
  EXPECT_THAT(granted(nodes, 2), IsEmpty());
  succeed(nodes[1]);
  EXPECT_THAT(granted(nodes, 2), ElementsAre("n0002"));
}

TEST(Grants, NothingIsGrantedTwiceNorToWhoHasIt) {
  auto nodes = nodes_waiting(3);
  for (auto& node : nodes) succeed(node);
  EXPECT_THAT(granted(nodes, 3), IsEmpty());
  nodes[0].lease->granted.clear();  // applied all the same: there is nothing to grant
  EXPECT_THAT(granted(nodes, 3), IsEmpty());
}

TEST(Grants, TheFirstConfigurationOfANodeNeedsOneToo) {
  auto nodes = nodes_waiting(2);
  for (auto& node : nodes) {
    node.lease->granted.clear();
    node.lease->applied_hash = "none";
  }
  EXPECT_THAT(granted(nodes, 1), ElementsAre("n0000"));
}

// Those are between two configurations already.
TEST(Grants, NodesWithAFormerGrantComeFirst) {
  auto nodes = nodes_waiting(4);
  nodes[3].lease->granted = "former";
  EXPECT_THAT(granted(nodes, 1), ElementsAre("n0003"));
}

TEST(Grants, ANodeThatIsAwayGivesItsPlaceUpAndGetsNone) {
  auto nodes = nodes_waiting(3);
  grant(nodes[0]);
  nodes[0].silent = true;
  nodes[1].reachable = false;
  EXPECT_THAT(granted(nodes, 1), ElementsAre("n0002"));
}

TEST(Grants, ANodeWithoutALeaseOrAReadyAgentIsNotGranted) {
  auto nodes = nodes_waiting(3);
  nodes[0].lease.reset();
  nodes[1].agent_ready = false;
  EXPECT_THAT(granted(nodes, 3), ElementsAre("n0002"));
}

TEST(Grants, ANodeThatCanNotBeConfiguredNeedsNoPlace) {
  auto nodes = nodes_waiting(3);
  grant(nodes[0]);
  nodes[0].lease->state = nodes[1].lease->state = "Unsupported";
  EXPECT_THAT(granted(nodes, 1), ElementsAre("n0002"));
  // Of another configuration it was told so: this one may suit it.
  nodes[1].lease->config_hash = "old";
  EXPECT_THAT(granted(nodes, 1), ElementsAre("n0001"));
}

TEST(Grants, AFewTriesAreNoFailure) {
  auto nodes = nodes_waiting(2);
  let_fail(nodes[0]);
  nodes[0].lease->failures = 2;
  EXPECT_THAT(granted(nodes, 1), IsEmpty());
  nodes[0].lease->failures = 3;
  EXPECT_THAT(granted(nodes, 1), ElementsAre("n0001"));
}

TEST(Grants, OneBadNodeDoesNotStopTheOthers) {
  auto nodes = nodes_waiting(20);
  let_fail(nodes[0]);
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    ASSERT_THAT(granted(nodes, 1), ElementsAre(nodes[i].name));
    succeed(nodes[i]);
  }
}

TEST(Grants, AConfigurationThatFailsEverywhereIsNotTriedEverywhere) {
  for (const std::size_t at_once : {1U, 3U, 10U}) {
    auto nodes = nodes_waiting(100);
    std::set<std::string> tried;
    for (int round = 0; round < 200; ++round) {
      for (const auto& name : granted(nodes, at_once)) {
        tried.insert(name);
        let_fail(*std::ranges::find(nodes, name, &GroupNode::name));
      }
    }
    EXPECT_EQ(tried.size(), at_once + 1);
    EXPECT_TRUE(grants(nodes, kNew, at_once).held_by_failed);
  }
}

TEST(Grants, ACorrectedConfigurationGoesToFailedNodesFirst) {
  auto nodes = nodes_waiting(10);
  let_fail(nodes[7]);
  let_fail(nodes[8]);
  for (auto& node : nodes) node.lease->config_hash = "corrected";
  EXPECT_THAT(granted(nodes, 2, "corrected"), ElementsAre("n0007", "n0008"));
}

TEST(Grants, WhereNothingMayBeChangedGrantsAreTakenBack) {
  auto nodes = nodes_waiting(2);
  nodes[1].lease->granted.clear();
  const auto decided = grants(nodes, "", 1);
  EXPECT_THAT(decided.grants, ElementsAre(Grants::Grant{"n0000", ""}));
  nodes[0].lease->granted.clear();
  EXPECT_THAT(grants(nodes, "", 1).grants, IsEmpty());
}

TEST(Grants, ManyNodesAreCheap) {
  auto nodes = nodes_waiting(5000);
  const auto begun = std::chrono::steady_clock::now();
  std::size_t rounds = 0;
  for (auto decided = grants(nodes, kNew, 500); !decided.grants.empty(); decided = grants(nodes, kNew, 500)) {
    ++rounds;
    std::map<std::string, bool> now;
    for (const auto& one : decided.grants) now[one.node] = true;
    for (auto& node : nodes) {
      if (now.contains(node.name)) succeed(node);
    }
  }
  EXPECT_EQ(rounds, 10U);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2));
}

TEST(NodeSetup, IsWhatTheLeaseSaysUnlessTheModeSaysOtherwise) {
  auto node = node_waiting("n");
  const auto state = [&](model::NodeConfigMode mode = model::NodeConfigMode::kApply) { return node_setup(node, mode, kNew).state; };
  EXPECT_EQ(state(), NodeSetupState::kWaiting);
  EXPECT_EQ(state(model::NodeConfigMode::kReport), NodeSetupState::kReported);
  EXPECT_EQ(state(model::NodeConfigMode::kOff), NodeSetupState::kOff);
  let_fail(node);
  EXPECT_EQ(state(), NodeSetupState::kFailed);
  node.lease->state = "Unsupported";
  EXPECT_EQ(state(), NodeSetupState::kUnsupported);
  succeed(node);
  EXPECT_EQ(state(), NodeSetupState::kConfigured);
  node.silent = true;
  EXPECT_EQ(state(), NodeSetupState::kSilent);
  node.lease.reset();
  node.silent = false;
  EXPECT_EQ(state(), NodeSetupState::kWaiting);
}

}  // namespace
}  // namespace cistern::reconcile
