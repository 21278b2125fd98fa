// What the controllers make of a cluster, on a fake and on a real API server.
#include <gmock/gmock.h>

#include "tests/unit/operator/reconcile/cluster_fixture.hpp"

namespace cistern::reconcile {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_P(ClusterTest, APolicyBecomesObjectsLabelsAndReadyAgents) {
  add_node("n1");
  add_node("n2");
  start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); })) << policy("default").dump(1);

  EXPECT_TRUE(object(kube::kDaemonSets, "cistern-default"));
  EXPECT_TRUE(object(kube::kServices, "cistern-default"));
  EXPECT_TRUE(object(kube::kServices, "cistern-default-peers"));
  EXPECT_TRUE(object(kube::kNetworkPolicies, "cistern-default"));
  const auto secret = object(kube::kSecrets, "cistern-default");
  ASSERT_TRUE(secret);
  EXPECT_THAT(decoded(*secret, "agent.yaml"), HasSubstr("goproxy.io"));
  EXPECT_EQ(decoded(*secret, "peer.key").size(), 64U);
  EXPECT_EQ(group_of("n1"), "default");
  EXPECT_EQ(group_of("n2"), "default");
  const auto live = policy("default");
  EXPECT_THAT(live.at("metadata").at("finalizers"), testing::Contains(Json("cistern.dev/cleanup")));
  EXPECT_EQ(live.at("status").at("agents").at("ready"), 2);
  EXPECT_EQ(live.at("status").at("nodes").at("selected"), 2);
  EXPECT_EQ(live.at("status").at("observedGeneration"), live.at("metadata").at("generation"));
  const auto hash = kube::annotation(*secret, render::kHashAnnotation);
  EXPECT_FALSE(hash.empty());
  EXPECT_EQ(kube::annotation(*object(kube::kPods, "cistern-default-n1"), render::kHashAnnotation), hash);
  EXPECT_EQ(kube::label(*secret, render::kPolicyOfObject), "default");
  EXPECT_EQ(secret->at("metadata").at("ownerReferences").at(0).at("uid"), live.at("metadata").at("uid"));
}

TEST_P(ClusterTest, NothingChangedMeansNoWrite) {
  add_node("n1");
  add_node("n2", {{"topology.kubernetes.io/region", "cn"}});
  auto& running = start_operator();
  put_policy("default", {{"regions", {{"cn", {{"retries", 5}}}}}});
  put_policy("other", {{"nodeSelector", {{"matchLabels", {{"none", "has-this"}}}}}});
  ASSERT_TRUE(eventually([&] { return is_ready("default") && is_ready("other"); })) << policy("other").dump(1);
  ASSERT_TRUE(running.at_rest());
  const double before = running.writes();
  for (int i = 0; i < 100; ++i) {
    running.controllers().resync();
    ASSERT_TRUE(eventually([&] { return running.controllers().idle(); }));
  }
  EXPECT_EQ(running.writes(), before);
}

TEST_P(ClusterTest, AnOperatorThatStartsAgainWritesNothing) {
  add_node("n1");
  add_node("n2");
  auto& first = start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  ASSERT_TRUE(first.at_rest());
  const auto status = policy("default").at("status");
  stop_operator();
  auto& second = start_operator();
  ASSERT_TRUE(second.at_rest());
  // The agents are asked anew; until they have answered, they count as silent, which must not be told.
  EXPECT_EQ(policy("default").at("status"), status);
  EXPECT_EQ(second.writes(), 0);
}

TEST_P(ClusterTest, WhatSomebodyEditsOrDeletesIsPutRight) {
  add_node("n1");
  auto& running = start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  ASSERT_TRUE(running.at_rest());
  const auto key = decoded(*object(kube::kSecrets, "cistern-default"), "peer.key");
  const auto agent = decoded(*object(kube::kSecrets, "cistern-default"), "agent.yaml");

  client_->remove(kube::kSecrets, {kNs, "cistern-default"});
  EXPECT_TRUE(eventually([&] { return object(kube::kSecrets, "cistern-default").has_value(); }));
  client_->merge_patch(kube::kSecrets, {kNs, "cistern-default"}, Json{{"data", {{"agent.yaml", "bm9uc2Vuc2U="}, {"peer.key", "bm8="}}}});
  EXPECT_TRUE(eventually([&] {
    const auto secret = object(kube::kSecrets, "cistern-default");
    return secret && decoded(*secret, "agent.yaml") == agent && decoded(*secret, "peer.key") == key;
  }));
  for (const auto& [resource, name] :
       {std::pair(&kube::kDaemonSets, "cistern-default"), std::pair(&kube::kServices, "cistern-default"),
        std::pair(&kube::kServices, "cistern-default-peers"), std::pair(&kube::kNetworkPolicies, "cistern-default"),
        std::pair(&kube::kConfigMaps, "cistern-accepted-default")}) {
    const auto before = object(*resource, name);
    ASSERT_TRUE(before) << name;
    ASSERT_TRUE(client_->remove(*resource, {kNs, name}));
    EXPECT_TRUE(eventually([&] {
      const auto now = object(*resource, name);
      return now && now->at("metadata").at("uid") != before->at("metadata").at("uid");
    })) << resource->kind;
  }
  client_->merge_patch(kube::kDaemonSets, {kNs, "cistern-default"},
                       Json{{"spec", {{"template", {{"spec", {{"serviceAccountName", "admin"}}}}}}}});
  EXPECT_TRUE(eventually([&] {
    return object(kube::kDaemonSets, "cistern-default")->at("spec").at("template").at("spec").at("serviceAccountName") == "cistern-agent";
  }));
  // Without our label the cache does not see it any more.
  client_->merge_patch(kube::kServices, {kNs, "cistern-default"}, Json{{"metadata", {{"labels", {{"cistern.dev/policy", nullptr}}}}}});
  EXPECT_TRUE(eventually([&] { return kube::label(*object(kube::kServices, "cistern-default"), "cistern.dev/policy") == "default"; }));
  client_->merge_patch(kube::kNodes, {"", "n1"}, Json{{"metadata", {{"labels", {{std::string(render::kGroupLabel), "x"}}}}}});
  EXPECT_TRUE(eventually([&] { return group_of("n1") == "default"; }));
  client_->merge_patch(kube::kMirrorPolicies, {"", "default"}, Json{{"status", {{"agents", {{"ready", 77}, {"desired", 99}}}}}}, "status");
  EXPECT_TRUE(eventually([&] { return is_ready("default") && policy("default").at("status").at("agents").at("desired") == 1; }));
  client_->merge_patch(kube::kMirrorPolicies, {"", "default"}, Json{{"metadata", {{"finalizers", nullptr}}}});
  EXPECT_TRUE(eventually([&] { return policy("default").at("metadata").contains("finalizers"); }));
  ASSERT_TRUE(running.at_rest());
  EXPECT_EQ(decoded(*object(kube::kSecrets, "cistern-default"), "peer.key"), key);
}

TEST_P(ClusterTest, AnAgentGetsBackTheLabelsThatSomebodyTook) {
  add_node("n1");
  start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  const std::string pod = "cistern-default-n1";
  const auto labels = object(kube::kPods, pod)->at("metadata").at("labels");
  for (const auto& [label, value] : std::map<std::string, Json>{{"cistern.dev/group", nullptr},
                                                                {"cistern.dev/policy", nullptr},
                                                                {"app.kubernetes.io/name", nullptr},
                                                                {"app.kubernetes.io/component", "x"}}) {
    ASSERT_TRUE(client_->merge_patch(kube::kPods, {kNs, pod}, Json{{"metadata", {{"labels", {{label, value}}}}}})) << label;
    EXPECT_TRUE(eventually([&] { return object(kube::kPods, pod)->at("metadata").at("labels") == labels; })) << label;
  }
  EXPECT_TRUE(eventually([&] { return is_ready("default"); }));
}

TEST_P(ClusterTest, WhatIsNotOursIsLeftAlone) {
  start_operator();
  const Json labels{{"cistern.dev/policy", "nobody"}, {"cistern.dev/group", "nobody"}};
  ASSERT_TRUE(client_->create(kube::kConfigMaps, Json{{"metadata", {{"name", "theirs"}, {"namespace", kNs}, {"labels", labels}}}}));
  auto ours = labels;
  ours["app.kubernetes.io/managed-by"] = "cistern";
  ASSERT_TRUE(client_->create(kube::kConfigMaps, Json{{"metadata", {{"name", "leftover"}, {"namespace", kNs}, {"labels", ours}}}}));
  EXPECT_TRUE(eventually([&] { return !object(kube::kConfigMaps, "leftover"); }));
  EXPECT_TRUE(object(kube::kConfigMaps, "theirs"));
}

TEST_P(ClusterTest, WhatTheNamespacesPodSecurityWasIsNotedBeforeItIsSet) {
  const auto labelled = [](const char* level) { return Json{{"metadata", {{"labels", {{std::string(kPodSecurity), level}}}}}}; };
  if (!client_->get(kube::kNamespaces, {"", kNs})) {
    ASSERT_TRUE(client_->create(kube::kNamespaces, Json{{"metadata", {{"name", kNs}}}}));
  }
  ASSERT_TRUE(client_->merge_patch(kube::kNamespaces, {"", kNs}, labelled("baseline")));
  ControllersOptions options;
  options.namespace_pod_security = "privileged";
  start_operator(options);
  EXPECT_TRUE(eventually([&] { return kube::label(*client_->get(kube::kNamespaces, {"", kNs}), kPodSecurity) == "privileged"; }));
  EXPECT_EQ(kube::annotation(*client_->get(kube::kNamespaces, {"", kNs}), kFormerPodSecurity), "baseline");
}

TEST_P(ClusterTest, DeletingAPolicyTakesEverythingAlong) {
  add_node("n1");
  add_node("n2");
  start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "default"}));
  EXPECT_TRUE(eventually([&] { return policy("default").is_null(); }));
  EXPECT_TRUE(is_clean());
}

TEST_P(ClusterTest, ADeadNodeDoesNotHoldADeletion) {
  add_node("n1");
  ControllersOptions options;
  options.policy.cleanup_limit = std::chrono::seconds(2);
  auto& running = start_operator(options);
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  daemon_sets_->kill_node("n1");
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "default"}));
  EXPECT_TRUE(eventually([&] { return policy("default").is_null(); }));
  EXPECT_TRUE(running.events().has("Warning CleanupIncomplete default"));
  EXPECT_TRUE(running.events().has("Pod cistern-default-n1 on node n1"));
  EXPECT_FALSE(object(kube::kDaemonSets, "cistern-default"));
  EXPECT_EQ(group_of("n1"), "");
}

TEST_P(ClusterTest, PodsThatTheApiServerRefusesAreTold) {
  add_node("n1");
  ControllersOptions options;
  options.policy.settle = std::chrono::seconds(1);
  daemon_sets_->refuse_pods("Error creating: pods \"cistern-default-x7k2p\" is forbidden: exceeded quota: few");
  start_operator(options);
  put_policy("default");
  EXPECT_TRUE(eventually([&] { return condition("default", "Stalled").starts_with("True PodsRefused"); })) << policy("default").dump(1);
  EXPECT_THAT(condition("default", "Ready"), HasSubstr("exceeded quota: few. Raise the namespace's ResourceQuota"));
  daemon_sets_->refuse_pods("");
  EXPECT_TRUE(eventually([&] { return is_ready("default"); })) << policy("default").dump(1);

  // The Events stay for an hour. That n1's pod was made since says that the refusal is over, also while n2's is still to come.
  daemon_sets_->hold_pods(true);
  add_node("n2");
  EXPECT_TRUE(eventually([&] { return condition("default", "Ready").starts_with("False RollingOut"); })) << policy("default").dump(1);
  std::this_thread::sleep_for(2 * options.policy.settle);
  EXPECT_THAT(condition("default", "Ready"), StartsWith("False RollingOut"));
  daemon_sets_->hold_pods(false);
  EXPECT_TRUE(eventually([&] { return is_ready("default"); }));
}

TEST_P(ClusterTest, OfTwoPoliciesOneOwnsANodeUntilItGoes) {
  add_node("n1");
  auto& running = start_operator();
  put_policy("winner", {{"priority", 10}});
  put_policy("loser");
  ASSERT_TRUE(eventually([&] { return is_ready("winner") && condition("loser", "Overridden").starts_with("True"); }))
      << policy("loser").dump(1);
  EXPECT_THAT(condition("loser", "Overridden"), HasSubstr("winner"));
  EXPECT_TRUE(eventually([&] { return running.events().has("loser"); }));
  EXPECT_EQ(group_of("n1"), "winner");
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "winner"}));
  EXPECT_TRUE(eventually([&] { return policy("winner").is_null() && group_of("n1") == "loser"; }));
  // It was Ready without a node, too.
  EXPECT_TRUE(eventually([&] {
    return is_ready("loser") && condition("loser", "Overridden").starts_with("False") &&
           policy("loser").at("status").at("agents").at("ready") == 1;
  })) << policy("loser").dump(1);
}

TEST_P(ClusterTest, ASpecThatIsNotValidLeavesTheOldOneInForce) {
  add_node("n1");
  start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  const auto secret = object(kube::kSecrets, "cistern-default");
  // What the CRD can not check: an overlay that does not go with what it is laid over.
  patch_policy(
      "default",
      {{"retries", 7}, {"go", {{"deny", Json::array({"bad.example/*"})}}}, {"profiles", {{"dev", {{"go", {{"allowDirect", true}}}}}}}});
  ASSERT_TRUE(eventually([&] { return condition("default", "Accepted").starts_with("False"); }));
  EXPECT_THAT(condition("default", "Accepted"), HasSubstr("allowDirect"));
  EXPECT_EQ(object(kube::kSecrets, "cistern-default")->at("data"), secret->at("data"));
  EXPECT_EQ(group_of("n1"), "default");

  // Also when the operator starts anew, and has to make the objects again.
  stop_operator();
  ASSERT_TRUE(client_->remove(kube::kDaemonSets, {kNs, "cistern-default"}));
  ASSERT_TRUE(start_operator().at_rest());
  EXPECT_TRUE(eventually([&] { return object(kube::kDaemonSets, "cistern-default").has_value(); }));
  EXPECT_EQ(object(kube::kSecrets, "cistern-default")->at("data"), secret->at("data"));
  EXPECT_THAT(condition("default", "Accepted"), StartsWith("False"));

  patch_policy("default", {{"profiles", nullptr}});
  EXPECT_TRUE(eventually([&] { return condition("default", "Accepted").starts_with("True") && is_ready("default"); }));
  EXPECT_THAT(decoded(*object(kube::kSecrets, "cistern-default"), "agent.yaml"), HasSubstr("retries: 7"));
}

TEST_P(ClusterTest, AChangedPolicyIsInForceWithoutANewPodTemplate) {
  add_node("n1");
  start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  const auto before = object(kube::kDaemonSets, "cistern-default");
  const auto old_hash = policy("default").at("status").at("groups").at(0).at("configHash");
  patch_policy("default", {{"retries", 9}});
  EXPECT_TRUE(
      eventually([&] { return is_ready("default") && policy("default").at("status").at("groups").at(0).at("configHash") != old_hash; },
                 milliseconds(5000)));
  EXPECT_EQ(object(kube::kDaemonSets, "cistern-default")->at("spec"), before->at("spec"));
}

TEST_P(ClusterTest, CredentialsComeFromSecretsAndFollowThem) {
  add_node("n1");
  start_operator();
  put_policy("default", {{"go", {{"upstreams", Json::array({{{"url", "https://goproxy.io"}, {"credentialsRef", {{"name", "corp"}}}}})}}}});
  ASSERT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True"); })) << policy("default").dump(1);
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("corp"));
  EXPECT_TRUE(eventually([&] { return is_ready("default"); }));

  const Json corp{{"metadata", {{"name", "corp"}, {"namespace", kNs}}}, {"type", "Opaque"}, {"data", {{"token", "b25l"}}}};
  ASSERT_TRUE(client_->create(kube::kSecrets, corp));
  EXPECT_TRUE(eventually([&] {
    const auto secret = object(kube::kSecrets, "cistern-default");
    return decoded(*secret, "corp.token") == "one" && condition("default", "Degraded").starts_with("False") && is_ready("default");
  }));
  client_->merge_patch(kube::kSecrets, {kNs, "corp"}, Json{{"data", {{"token", "dHdv"}}}});
  EXPECT_TRUE(eventually([&] {
    const auto secret = object(kube::kSecrets, "cistern-default");
    const auto pod = object(kube::kPods, "cistern-default-n1");
    return decoded(*secret, "corp.token") == "two" && pod &&
           kube::annotation(*pod, render::kHashAnnotation) == kube::annotation(*secret, render::kHashAnnotation);
  }));
}

TEST_P(ClusterTest, NodesComeMoveAndGo) {
  add_node("n1");
  start_operator();
  put_policy("default", {{"regions", {{"cn", {{"retries", 5}}}}}});
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  add_node("n2");
  EXPECT_TRUE(eventually([&] { return is_ready("default") && policy("default").at("status").at("agents").at("ready") == 2; }));

  client_->merge_patch(kube::kNodes, {"", "n2"}, Json{{"metadata", {{"labels", {{"topology.kubernetes.io/region", "cn"}}}}}});
  EXPECT_TRUE(
      eventually([&] { return group_of("n2") == "default-cn" && is_ready("default") && object(kube::kPods, "cistern-default-cn-n2"); }));
  EXPECT_FALSE(object(kube::kPods, "cistern-default-n2"));
  EXPECT_THAT(decoded(*object(kube::kSecrets, "cistern-default-cn"), "agent.yaml"), HasSubstr("retries: 5"));

  ASSERT_TRUE(client_->remove(kube::kNodes, {"", "n2"}));
  EXPECT_TRUE(eventually([&] {
    return !object(kube::kDaemonSets, "cistern-default-cn") && !object(kube::kSecrets, "cistern-default-cn") &&
           !object(kube::kServices, "cistern-default-cn-peers") && policy("default").at("status").at("agents").at("desired") == 1;
  }));
}

TEST_P(ClusterTest, AnUnreachableNodeDoesNotKeepThePolicyFromBeingReady) {
  add_node("n1");
  add_node("n2");
  start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  const Json silent{{"status", {{"conditions", Json::array({{{"type", "Ready"}, {"status", "Unknown"}}})}}}};
  client_->merge_patch(kube::kNodes, {"", "n2"}, silent, "status");
  const Json unready{{"status", {{"conditions", Json::array({{{"type", "Ready"}, {"status", "False"}}})}}}};
  client_->merge_patch(kube::kPods, {kNs, "cistern-default-n2"}, unready, "status");
  EXPECT_TRUE(eventually([&] { return policy("default").at("status").at("agents").at("ready") == 1 && is_ready("default"); }))
      << policy("default").dump(1);
}

TEST_P(ClusterTest, WhatAgentsHaveServedShowsInTheStatus) {
  add_node("n1");
  start_operator();
  AgentReport counters;
  counters.hits = 90;
  counters.misses = 10;
  counters.sent_bytes = 5'000'000'000;
  counters.upstream_bytes = 1'000'000'000;
  counters.stored_bytes = 1'000'000'000;
  daemon_sets_->set_counters(counters);
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  EXPECT_TRUE(
      eventually([&] { return policy("default").at("status").at("cache").value("hitRatio", "") == "0.90"; }, std::chrono::seconds(25)))
      << policy("default").dump(1);
  const auto saved = policy("default").at("status").at("cache").at("upstreamBytesSaved").get<double>();
  EXPECT_NEAR(saved, 4e9, 2e8);
  // A new operator goes on from there.
  stop_operator();
  ASSERT_TRUE(start_operator().at_rest());
  EXPECT_EQ(policy("default").at("status").at("cache").at("upstreamBytesSaved").get<double>(), saved);
}

TEST_P(ClusterTest, AnApiServerThatRestartsIsWaitedFor) {
  add_node("n1");
  start_operator();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default"); }));
  ASSERT_TRUE(backend_->restart());
  patch_policy("default", {{"retries", 8}});
  EXPECT_TRUE(eventually(
      [&] {
        const auto secret = object(kube::kSecrets, "cistern-default");
        return secret && decoded(*secret, "agent.yaml").find("retries: 8") != std::string::npos && is_ready("default");
      },
      std::chrono::seconds(60)));
}

TEST_P(ClusterTest, AnotherReplicaFinishesWhatAKilledLeaderBegan) {
  add_node("n1");
  add_node("n2");
  Operator first(backend_->configuration(), *daemon_sets_);
  first.stand_for_election("first");
  ASSERT_TRUE(eventually([&] { return first.controllers().leads(); }));
  Operator second(backend_->configuration(), *daemon_sets_);
  second.stand_for_election("second");
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return object(kube::kSecrets, "cistern-default").has_value(); }));
  EXPECT_FALSE(second.controllers().leads());
  const auto key = decoded(*object(kube::kSecrets, "cistern-default"), "peer.key");
  first.crash();
  patch_policy("default", {{"retries", 6}});
  EXPECT_TRUE(eventually([&] {
    const auto secret = object(kube::kSecrets, "cistern-default");
    return is_ready("default") && decoded(*secret, "agent.yaml").find("retries: 6") != std::string::npos;
  })) << policy("default").dump(1);
  EXPECT_TRUE(second.controllers().leads());
  EXPECT_FALSE(first.controllers().leads());
  EXPECT_EQ(decoded(*object(kube::kSecrets, "cistern-default"), "peer.key"), key);
  // And one that stops gives the Lease back, so that nobody waits for its end.
  Operator third(backend_->configuration(), *daemon_sets_);
  third.stand_for_election("third");
  second.stop();
  EXPECT_TRUE(eventually([&] { return third.controllers().leads(); }, milliseconds(2500)));
}

TEST_P(ClusterTest, OverlaysThatDoNotFitTogetherLeaveTheOldSpecInForce) {
  add_node("n1", {{"topology.kubernetes.io/region", "cn"}, {"cistern.dev/profile", "dev"}});
  start_operator();
  const Json hub{{"name", "docker.io"}, {"upstreams", Json::array({{{"url", "https://registry-1.docker.io"}}})}};
  put_policy("default", {{"images", {{"registries", Json::array({hub})}}},
                         {"regions", {{"cn", {{"retries", 5}}}}},
                         {"profiles", {{"dev", {{"retries", 6}}}}}});
  ASSERT_TRUE(eventually([&] { return is_ready("default"); })) << policy("default").dump(1);
  const auto group = group_of("n1");
  const auto secret = object(kube::kSecrets, "cistern-" + group);
  ASSERT_TRUE(secret);
  // Each overlay goes with the policy, but not the one with the other.
  const Json strict{{"registries", Json::array({{{"name", "docker.io"}, {"fallbackToSource", false}}})}};
  patch_policy("default", {{"regions", {{"cn", {{"nodeConfig", {{"mode", "Off"}}}}}}}, {"profiles", {{"dev", {{"images", strict}}}}}});
  ASSERT_TRUE(eventually([&] { return condition("default", "Accepted").starts_with("False"); })) << policy("default").dump(1);
  EXPECT_THAT(condition("default", "Accepted"), HasSubstr("with region cn and profile dev"));
  EXPECT_EQ(group_of("n1"), group);
  EXPECT_EQ(object(kube::kSecrets, "cistern-" + group)->at("data"), secret->at("data"));
}

std::string backend_name(const testing::TestParamInfo<const char*>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(On, ClusterTest, testing::Values("fake", "real"), backend_name);

}  // namespace
}  // namespace cistern::reconcile
