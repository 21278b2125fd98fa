// How nodes are told what to do, a few at a time, and waited for.
#include <gmock/gmock.h>

#include "operator/node/config.hpp"
#include "operator/reconcile/leaving.hpp"
#include "tests/unit/operator/reconcile/cluster_fixture.hpp"
#include "tests/unit/operator/reconcile/node_programs.hpp"

namespace cistern::reconcile {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class NodeSetupTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    if (client_) programs_ = std::make_unique<NodePrograms>(*client_, kNs);
  }
  void TearDown() override { programs_.reset(); }

  Operator& start(ControllersOptions options = {}) { return start_operator(std::move(options), true); }
  static Json images(bool strict = false) {
    return {{"registries", Json::array({{{"name", "docker.io"},
                                         {"upstreams", Json::array({{{"url", "https://mirror.example"}}})},
                                         {"fallbackToSource", !strict}}})}};
  }
  std::string lease_says(const std::string& node, const char* what) {
    const auto lease = object(kube::kLeases, node::lease_name(node));
    return lease ? kube::annotation(*lease, std::string("cistern.dev/") + what) : std::string();
  }
  Json nodes_of_status() { return policy("default").value(Json::json_pointer("/status/nodes"), Json::object()); }

  std::unique_ptr<NodePrograms> programs_;
};

TEST_P(NodeSetupTest, NodesAreConfiguredOneAfterTheOtherWithinSeconds) {
  for (const auto* name : {"n1", "n2", "n3"}) add_node(name);
  auto& running = start();
  put_policy("default", {{"images", images()}});
  ASSERT_TRUE(eventually([&] { return is_ready("default"); })) << policy("default").dump(1);
  EXPECT_EQ(nodes_of_status().at("configured"), 3);
  EXPECT_THAT(condition("default", "Ready"), HasSubstr("The runtime of 3 nodes asks them first."));
  EXPECT_EQ(programs_->most_in_change(), 1U);
  const auto map = object(kube::kConfigMaps, "cistern-node-default");
  ASSERT_TRUE(map);
  const auto config = node::parse_config(map->at("data").at("node.json").get<std::string>());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(kube::label(*map, render::kGroupOfObject), "default");
  EXPECT_EQ(lease_says("n1", "granted-hash"), config->hash);

  ASSERT_TRUE(running.at_rest());
  const auto begun = std::chrono::steady_clock::now();
  patch_policy(
      "default",
      {{"images", {{"registries", Json::array({{{"name", "quay.io"}, {"upstreams", Json::array({{{"url", "https://q.example"}}})}}})}}}});
  ASSERT_TRUE(eventually([&] {
    return lease_says("n1", "applied-hash") != config->hash && lease_says("n3", "applied-hash") == lease_says("n1", "applied-hash") &&
           lease_says("n2", "applied-hash") == lease_says("n1", "applied-hash");
  }));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_EQ(programs_->most_in_change(), 1U);
  ASSERT_TRUE(running.at_rest());
  EXPECT_TRUE(is_ready("default")) << policy("default").dump(1);
}

TEST_P(NodeSetupTest, NothingChangedMeansNoWriteAndARenewalIsNoChange) {
  add_node("n1");
  add_node("n2");
  auto& running = start();
  put_policy("default", {{"images", images()}});
  ASSERT_TRUE(eventually([&] { return is_ready("default"); })) << policy("default").dump(1);
  ASSERT_TRUE(running.at_rest());
  const double before = running.writes();
  for (int i = 0; i < 5; ++i) {
    client_->merge_patch(kube::kLeases, {kNs, node::lease_name("n1")},
                         Json{{"spec", {{"renewTime", fmt::format("2026-01-01T00:00:0{}.000000Z", i)}}}});
    running.controllers().resync();
    ASSERT_TRUE(eventually([&] { return running.controllers().idle(); }));
  }
  EXPECT_EQ(running.writes(), before);
}

TEST_P(NodeSetupTest, ADeletedPolicysAgentsStayUntilNodesHavePutTheirFilesBack) {
  add_node("n1");
  add_node("n2");
  start();
  put_policy("default", {{"images", images()}});
  ASSERT_TRUE(eventually([&] { return is_ready("default"); })) << policy("default").dump(1);
  programs_->hold_restores(true);
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "default"}));
  ASSERT_TRUE(eventually([&] { return lease_says("n1", "granted-hash") == "none" && lease_says("n2", "granted-hash") == "none"; }));
  std::this_thread::sleep_for(milliseconds(1500));
  EXPECT_TRUE(object(kube::kDaemonSets, "cistern-default"));
  EXPECT_TRUE(object(kube::kPods, "cistern-default-n1"));
  EXPECT_EQ(group_of("n1"), "default");
  programs_->hold_restores(false);
  EXPECT_TRUE(eventually([&] { return policy("default").is_null() && is_clean(); })) << policy("default").dump(1);
  EXPECT_FALSE(object(kube::kConfigMaps, "cistern-node-default"));
  EXPECT_EQ(lease_says("n1", "applied-hash"), "none");
}

TEST_P(NodeSetupTest, ANodeThatLeavesKeepsItsAgentUntilItHasLetGo) {
  add_node("n1", {{"cached", "yes"}});
  add_node("n2", {{"cached", "yes"}});
  auto& running = start();
  put_policy("default", {{"images", images()}, {"nodeSelector", {{"matchLabels", {{"cached", "yes"}}}}}});
  ASSERT_TRUE(eventually([&] { return is_ready("default"); })) << policy("default").dump(1);
  programs_->hold_restores(true);
  client_->merge_patch(kube::kNodes, {"", "n2"}, Json{{"metadata", {{"labels", {{"cached", nullptr}}}}}});
  ASSERT_TRUE(eventually([&] { return lease_says("n2", "granted-hash") == "none"; }));
  EXPECT_EQ(group_of("n2"), "default");
  programs_->hold_restores(false);
  EXPECT_TRUE(eventually([&] { return group_of("n2").empty(); }));
  EXPECT_EQ(lease_says("n2", "applied-hash"), "none");
  EXPECT_NE(lease_says("n1", "applied-hash"), "none");
  // And back: it waits for its turn again.
  client_->merge_patch(kube::kNodes, {"", "n2"}, Json{{"metadata", {{"labels", {{"cached", "yes"}}}}}});
  EXPECT_TRUE(eventually([&] { return lease_says("n2", "applied-hash") == lease_says("n1", "applied-hash"); }));
  ASSERT_TRUE(running.at_rest());
}

TEST_P(NodeSetupTest, ADeletionDoesNotWaitForASilentNodeAndNamesIt) {
  add_node("n1");
  add_node("n2");
  ControllersOptions options;
  options.policy.silence = std::chrono::seconds(2);
  options.heartbeat_check = milliseconds(200);
  auto& running = start(options);
  put_policy("default", {{"images", images()}});
  ASSERT_TRUE(eventually([&] { return lease_says("n1", "applied-hash").size() == 16 && lease_says("n2", "applied-hash").size() == 16; }));
  programs_->silence("n2");
  ASSERT_TRUE(eventually([&] { return nodes_of_status().value("stale", 0) > 0; }));
  EXPECT_TRUE(eventually([&] { return running.events().has("HeartbeatStale"); }));
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "default"}));
  EXPECT_TRUE(eventually([&] { return policy("default").is_null() && is_clean(); }));
  EXPECT_TRUE(running.events().has("Warning NodesNotRestored default"));
}

TEST_P(NodeSetupTest, ANodeThatFailsIsToldAndDoesNotStopTheOthers) {
  for (const auto* name : {"n1", "n2", "n3"}) add_node(name);
  auto& running = start();
  programs_->let_fail("n1");
  put_policy("default", {{"images", images()}});
  ASSERT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True NodeConfigFailed") && is_ready("default"); }))
      << policy("default").dump(1);
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("n1: disk full"));
  EXPECT_EQ(nodes_of_status().at("failed"), 1);
  EXPECT_EQ(nodes_of_status().at("configured"), 2);
  EXPECT_TRUE(running.events().has("Warning NodeConfigFailed default"));
}

TEST_P(NodeSetupTest, WhatANodeLacksIsToldAndKeepsNobodyWaiting) {
  add_node("n1");
  add_node("n2");
  start();
  programs_->make_unsupported("n1", "this node runs k3s; set registries.yaml");
  put_policy("default", {{"images", images()}});
  ASSERT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True NodeUnsupported") && is_ready("default"); }))
      << policy("default").dump(1);
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("n1: this node runs k3s; set registries.yaml"));
  EXPECT_EQ(nodes_of_status().at("unsupported"), 1);
}

TEST_P(NodeSetupTest, ReportAndOffTouchNothingAndTakeGrantsBack) {
  add_node("n1");
  start();
  put_policy("default", {{"images", images()}});
  ASSERT_TRUE(eventually([&] { return lease_says("n1", "applied-hash").size() == 16; }));
  patch_policy("default", {{"nodeConfig", {{"mode", "Report"}}}});
  ASSERT_TRUE(eventually([&] { return lease_says("n1", "granted-hash").empty() && lease_says("n1", "applied-hash") == "none"; }));
  EXPECT_TRUE(eventually([&] { return condition("default", "Ready").find("nodeConfig.mode is Report") != std::string::npos; }))
      << policy("default").dump(1);
  EXPECT_THAT(condition("default", "Degraded"), StartsWith("False"));
}

TEST_P(NodeSetupTest, RegistriesOfWhatStartsBeforeTheAgentAreNeverStrict) {
  client_->create(kube::kNamespaces, Json{{"metadata", {{"name", "kube-system"}}}});
  const auto strict = [&] {
    const auto map = object(kube::kConfigMaps, "cistern-node-default");
    if (!map) return std::string("no ConfigMap");
    const auto config = node::parse_config(map->at("data").at("node.json").get<std::string>());
    return config && config->registries.front().strict ? std::string("strict") : std::string("fallback");
  };
  add_node("n1");
  start();
  put_policy("default", {{"images", images(true)}});
  ASSERT_TRUE(eventually([&] { return strict() == "strict"; }));
  const auto made = client_->create(
      kube::kPods,
      Json{{"metadata", {{"name", "cni"}, {"namespace", "kube-system"}}},
           {"spec",
            {{"priorityClassName", "system-node-critical"}, {"containers", Json::array({{{"name", "c"}, {"image", "cni/plugin:1"}}})}}}});
  if (!made) GTEST_SKIP() << "this API server admits no such pod: " << made.error().message;
  EXPECT_TRUE(eventually([&] { return strict() == "fallback"; }));
  EXPECT_TRUE(eventually([&] { return nodes_of_status().value("keptInFallback", Json()) == Json::array({"docker.io"}); }));
  EXPECT_THAT(condition("default", "Accepted"), HasSubstr("not strict in spite of fallbackToSource: false"));
}

TEST_P(NodeSetupTest, ALaterInstallationEndsAnUninstallationAndFreesNodesThatWereAway) {
  add_node("n1", {{std::string(kRestoreLabel), "true"}});
  client_->create(kube::kConfigMaps, Json{{"metadata", {{"name", "cistern-uninstall"}, {"namespace", kNs}}}});
  start();
  EXPECT_TRUE(eventually([&] { return !object(kube::kConfigMaps, "cistern-uninstall"); }));
  EXPECT_TRUE(eventually([&] {
    const auto node = object(kube::kNodes, "n1");
    return node && kube::label(*node, kRestoreLabel).empty();
  }));
}

INSTANTIATE_TEST_SUITE_P(Api, NodeSetupTest, testing::Values("fake", "real"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace cistern::reconcile
