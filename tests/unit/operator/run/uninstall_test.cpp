#include "operator/run/uninstall.hpp"

#include <fmt/chrono.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/configuration.hpp"
#include "operator/node/config.hpp"
#include "operator/reconcile/desired.hpp"
#include "operator/reconcile/leaving.hpp"
#include "tests/fakes/api_server/api_server.hpp"

namespace cistern::run {
namespace {

using kube::Json;
using testing::Contains;
using testing::HasSubstr;

class UninstallTest : public testing::Test {
 protected:
  void SetUp() override {
    kube::Configuration configuration;
    configuration.server = server_.url();
    kube::ClientOptions options;
    options.timeout = std::chrono::seconds(2);
    client_ = std::move(*kube::make_client(configuration, options));
    settings_.timeout = std::chrono::seconds(3);
    server_.put(kube::kDeployments, named("cistern-operator", {{"spec", {{"replicas", 2}}}}));
    server_.put(kube::kLeases, named("cistern-operator"));
    for (const auto* resource : kOurs) server_.put(*resource, ours("cistern-default"));
    server_.put(kube::kNodes,
                Json{{"metadata", {{"name", "n1"}, {"labels", {{std::string(render::kGroupLabel), "default"}, {"zone", "a"}}}}}});
    server_.put(kube::kMirrorPolicies, Json{{"metadata", {{"name", "default"}, {"finalizers", {"other/one", reconcile::kFinalizer}}}},
                                            {"spec", {{"retries", 1}}},
                                            {"status", {{"agents", {{"ready", 3}}}}}});
  }

  static Json named(const std::string& name, Json rest = Json::object()) {
    rest["metadata"]["name"] = name;
    rest["metadata"]["namespace"] = "cistern-system";
    return rest;
  }
  static Json ours(const std::string& name) {
    auto object = named(name);
    object["metadata"]["labels"] = {
        {"app.kubernetes.io/managed-by", "cistern"}, {"cistern.dev/policy", "default"}, {"cistern.dev/group", "default"}};
    return object;
  }
  Result<void> uninstall_now() {
    return uninstall(*client_, clock_, settings_, [this](const std::string& line) { said_.push_back(line); });
  }

  static constexpr std::array kOurs = {&kube::kDaemonSets, &kube::kServices, &kube::kSecrets, &kube::kNetworkPolicies, &kube::kConfigMaps};
  fakes::ApiServer server_;
  SystemClock clock_;
  std::unique_ptr<kube::Client> client_;
  UninstallSettings settings_;
  std::vector<std::string> said_;
};

TEST_F(UninstallTest, RemovesWhatTheOperatorMadeAndKeepsThePolicies) {
  server_.put(kube::kSecrets, named("theirs"));
  const auto done = uninstall_now();
  ASSERT_TRUE(done) << done.error().message;
  for (const auto* resource : kOurs) EXPECT_FALSE(server_.object(*resource, {"cistern-system", "cistern-default"})) << resource->kind;
  EXPECT_TRUE(server_.object(kube::kSecrets, {"cistern-system", "theirs"}));
  EXPECT_EQ(server_.object(kube::kDeployments, {"cistern-system", "cistern-operator"})->at("spec").at("replicas"), 0);
  EXPECT_FALSE(server_.object(kube::kLeases, {"cistern-system", "cistern-operator"}));
  EXPECT_EQ(server_.object(kube::kNodes, {"", "n1"})->at("metadata").at("labels"), Json({{"zone", "a"}}));
  const auto policy = server_.object(kube::kMirrorPolicies, {"", "default"});
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->at("metadata").at("finalizers"), Json::array({"other/one"}));
  EXPECT_EQ(policy->at("spec").at("retries"), 1);
  EXPECT_FALSE(policy->contains("status"));
}

TEST_F(UninstallTest, TakesItsConfigMapsOutOfInjectedNamespacesAndNoOthers) {
  const auto put = [&](const std::string& name, bool own) {
    auto object = own ? ours(name) : named(name);
    object["metadata"]["namespace"] = "shop";
    server_.put(kube::kConfigMaps, object);
  };
  put("cistern-env", true);
  put("cistern-env-dev", true);
  put("cistern-env-theirs", false);
  put("copied-with-labels", true);
  ASSERT_TRUE(uninstall_now());
  for (const auto* name : {"cistern-env", "cistern-env-dev"}) EXPECT_FALSE(server_.object(kube::kConfigMaps, {"shop", name})) << name;
  for (const auto* name : {"cistern-env-theirs", "copied-with-labels"})
    EXPECT_TRUE(server_.object(kube::kConfigMaps, {"shop", name})) << name;
}

TEST_F(UninstallTest, TouchesNothingThatHelmHasNotInstalled) {
  settings_.helm_release = "cistern";
  const auto refused = uninstall_now();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("helm template --no-hooks"));
  EXPECT_TRUE(server_.mutating_requests().empty());
  server_.patch(kube::kDeployments, {"cistern-system", "cistern-operator"},
                Json{{"metadata", {{"annotations", {{"meta.helm.sh/release-name", "cistern"}}}}}});
  EXPECT_TRUE(uninstall_now());
  EXPECT_FALSE(server_.object(kube::kDaemonSets, {"cistern-system", "cistern-default"}));
}

TEST_F(UninstallTest, TheNamespaceGetsBackItsPodSecurity) {
  const std::string label(reconcile::kPodSecurity);
  const std::string noted(reconcile::kFormerPodSecurity);
  const auto with = [&](const Json& labels, const Json& annotations) {
    server_.put(kube::kNamespaces, Json{{"metadata", {{"name", "cistern-system"}, {"labels", labels}, {"annotations", annotations}}}});
    EXPECT_TRUE(uninstall_now());
    const auto ns = *server_.object(kube::kNamespaces, {"", "cistern-system"});
    EXPECT_EQ(kube::annotation(ns, noted), "");
    return kube::label(ns, label);
  };
  EXPECT_EQ(with({{label, "privileged"}}, {{noted, ""}, {"a", "b"}}), "");
  EXPECT_EQ(with({{label, "privileged"}}, {{noted, "restricted"}}), "restricted");
  EXPECT_EQ(with({{label, "baseline"}}, {{noted, "restricted"}}), "baseline") << "somebody has set it since";
  EXPECT_EQ(with({{label, "privileged"}}, {{"a", "b"}}), "privileged") << "it is not the operator's";
}

class UninstallNodesTest : public UninstallTest {
 protected:
  void SetUp() override {
    UninstallTest::SetUp();
    auto pod = named("cistern-node-x");
    pod["metadata"]["labels"] = {{"app.kubernetes.io/name", "cistern"}, {"app.kubernetes.io/component", "node"}};
    server_.put(kube::kPods, pod);
    server_.put(kube::kDaemonSets, named("cistern-node"));
  }
  // `age`: since it was renewed.
  void put_lease(const std::string& node, const std::string& applied, std::chrono::seconds age = std::chrono::seconds(0)) {
    const auto time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() - age);
    auto lease = named(node::lease_name(node), {{"spec", {{"renewTime", fmt::format("{:%Y-%m-%dT%H:%M:%S}.000000Z", fmt::gmtime(time))}}}});
    lease["metadata"]["labels"] = {{"app.kubernetes.io/managed-by", "cistern"}, {"app.kubernetes.io/component", "node"}};
    lease["metadata"]["annotations"] = {{"cistern.dev/applied-hash", applied}};
    server_.put(kube::kLeases, lease);
  }
  bool has_lease(const std::string& node) { return server_.object(kube::kLeases, {"cistern-system", node::lease_name(node)}).has_value(); }
  std::string restore_label(const std::string& node) {
    return kube::label(*server_.object(kube::kNodes, {"", node}), reconcile::kRestoreLabel);
  }
};

TEST_F(UninstallNodesTest, NodesPutTheirFilesBackWhileAgentsStillRun) {
  settings_.timeout = std::chrono::seconds(10);
  put_lease("n1", "0123456789abcdef");
  bool agents_were_there = false;
  std::jthread node([&] {
    if (!server_.wait_for("POST", "/configmaps", 1, std::chrono::seconds(8))) return;
    const kube::ObjectKey mark{"cistern-system", "cistern-uninstall"};
    for (int i = 0; i < 200 && !server_.object(kube::kConfigMaps, mark); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(server_.object(kube::kConfigMaps, mark)) << "it was asked for, so it is made";
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    agents_were_there = server_.object(kube::kDaemonSets, {"cistern-system", "cistern-default"}).has_value();
    put_lease("n1", "none");
    if (!server_.wait_for("DELETE", "/daemonsets/cistern-node", 1, std::chrono::seconds(8))) return;
    server_.remove(kube::kPods, {"cistern-system", "cistern-node-x"});
  });
  const auto done = uninstall_now();
  node.join();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(agents_were_there);
  EXPECT_FALSE(server_.object(kube::kDaemonSets, {"cistern-system", "cistern-node"}));
  EXPECT_FALSE(server_.object(kube::kConfigMaps, {"cistern-system", "cistern-uninstall"})) << "it would stop a later installation";
  EXPECT_FALSE(has_lease("n1"));
  EXPECT_EQ(restore_label("n1"), "");
  EXPECT_THAT(said_, Contains(HasSubstr("every file is as it was before")));
}

TEST_F(UninstallNodesTest, NodesThatAreAwayAreNamedAndLabelledAndNotWaitedFor) {
  put_lease("n1", "0123456789abcdef", std::chrono::minutes(10));
  server_.remove(kube::kPods, {"cistern-system", "cistern-node-x"});
  const auto begun = std::chrono::steady_clock::now();
  const auto done = uninstall_now();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, settings_.timeout / 3);
  EXPECT_EQ(restore_label("n1"), "true");
  EXPECT_TRUE(has_lease("n1"));
  EXPECT_THAT(said_, Contains(HasSubstr("node n1 was away")));
  // It has come back meanwhile.
  put_lease("n1", "none");
  ASSERT_TRUE(uninstall_now());
  EXPECT_EQ(restore_label("n1"), "");
  EXPECT_FALSE(has_lease("n1"));
}

TEST_F(UninstallNodesTest, ANodeThatDoesNotEndIsLeftWithinTheTime) {
  put_lease("n1", "0123456789abcdef");
  const auto begun = std::chrono::steady_clock::now();
  const auto done = uninstall_now();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_LE(std::chrono::steady_clock::now() - begun, settings_.timeout + std::chrono::seconds(1));
  EXPECT_EQ(restore_label("n1"), "true");
  EXPECT_THAT(said_, Contains(HasSubstr("node program cistern-node-x")));
}

TEST_F(UninstallNodesTest, TheWebhookAndWhatPodsReadGo) {
  server_.put(kube::kMutatingWebhooks, Json{{"metadata", {{"name", "cistern"}}}});
  auto map = ours("cistern-env");
  map["metadata"]["namespace"] = "shop";
  server_.put(kube::kConfigMaps, map);
  ASSERT_TRUE(uninstall_now());
  EXPECT_FALSE(server_.object(kube::kMutatingWebhooks, {"", "cistern"}));
  EXPECT_FALSE(server_.object(kube::kConfigMaps, {"shop", "cistern-env"}));
}

TEST_F(UninstallTest, MayBeRunAgain) {
  ASSERT_TRUE(uninstall_now());
  server_.remove(kube::kDeployments, {"cistern-system", "cistern-operator"});
  server_.forget_requests();
  const auto again = uninstall_now();
  EXPECT_TRUE(again) << again.error().message;
}

TEST_F(UninstallTest, WaitsForAgentsButNotForThoseOfADeadNode) {
  auto pod = ours("cistern-default-x");
  pod["spec"]["nodeName"] = "n1";
  server_.put(kube::kPods, pod);
  const auto begun = std::chrono::steady_clock::now();
  const auto done = uninstall_now();
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_GE(std::chrono::steady_clock::now() - begun, settings_.timeout / 2);
  EXPECT_THAT(said_, Contains(HasSubstr("agent cistern-default-x on node n1 has not ended")));
}

TEST_F(UninstallTest, SaysWhatCouldNotBeRemoved) {
  server_.add_fault({.method = "DELETE", .path = "/services/", .times = 0, .status = 403, .message = "services are forbidden"});
  const auto done = uninstall_now();
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("Service cistern-system/cistern-default"));
  EXPECT_THAT(done.error().message, HasSubstr("services are forbidden"));
  // The rest is done all the same.
  EXPECT_EQ(server_.object(kube::kMirrorPolicies, {"", "default"})->at("metadata").at("finalizers"), Json::array({"other/one"}));
}

TEST_F(UninstallTest, AStatusThatMayNotBeClearedDoesNotHoldTheFinalizer) {
  server_.add_fault({.method = "PATCH", .path = "/status", .times = 0, .status = 403});
  EXPECT_TRUE(uninstall_now());
  EXPECT_THAT(said_, Contains(HasSubstr("the status of policy default stays")));
  EXPECT_EQ(server_.object(kube::kMirrorPolicies, {"", "default"})->at("metadata").at("finalizers"), Json::array({"other/one"}));
}

TEST_F(UninstallTest, APassingTroubleIsTriedAgain) {
  server_.add_fault({.method = "DELETE", .path = "/daemonsets/", .times = 1, .status = 500});
  EXPECT_TRUE(uninstall_now());
  EXPECT_FALSE(server_.object(kube::kDaemonSets, {"cistern-system", "cistern-default"}));
}

}  // namespace
}  // namespace cistern::run
