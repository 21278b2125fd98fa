// Injection as replicas of the operator keep it, on a fake and on a real API server: rules and ConfigMaps.
#include <gmock/gmock.h>

#include "tests/unit/operator/reconcile/injection_fixture.hpp"

namespace cistern::reconcile {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(InjectionTest, EveryReplicaTellsPodsWhatThePolicySaysNow) {
  install_webhook();
  add_namespace("shop");
  add_namespace("out", {{"cistern.dev/inject", "false"}});
  auto leads = leader();
  auto follows = follower();
  put_policy("default");
  set_endpoint("default", true);
  const auto both = [&](const std::string& ns, const std::string& variable, const auto& is) {
    return eventually([&] { return is(leads->injected(ns, bundle(), variable)) && is(follows->injected(ns, bundle(), variable)); },
                      seconds(5));
  };
  const auto none = [](const std::string& value) { return value == "<none>"; };
  const auto ours = [](const std::string& value) { return value == "http://cistern-default.cistern-system.svc:5050/go/"; };
  EXPECT_TRUE(both("shop", "GOPROXY", ours)) << follows->injected("shop", bundle());
  EXPECT_TRUE(both("out", "GOPROXY", none));
  EXPECT_TRUE(both(kNs, "GOPROXY", none));
  patch_policy("default", {{"injection", {{"env", {{"TEAM", "blue"}}}}}});
  EXPECT_TRUE(both("shop", "TEAM", [](const std::string& value) { return value == "blue"; }));
  add_namespace("late");
  EXPECT_TRUE(both("late", "GOPROXY", ours));
  label_namespace("shop", {{"cistern.dev/inject", "false"}});
  EXPECT_TRUE(both("shop", "GOPROXY", none));

  set_endpoint("default", false);
  EXPECT_TRUE(eventually([&] { return none(follows->injected("late", bundle())); }, seconds(1)));
  set_endpoint("default", true);
  EXPECT_TRUE(both("late", "GOPROXY", ours));
  patch_policy("default", {{"injection", {{"mode", "Off"}}}});
  EXPECT_TRUE(both("late", "GOPROXY", none));
  // Nothing is written by one that follows.
  EXPECT_EQ((*follows)->writes(), 0);
}

TEST_P(InjectionTest, AReplicaThatFollowsTakesTheLead) {
  install_webhook();
  add_node("n1");
  add_namespace("shop");
  auto first = leader();
  auto second = follower();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return is_ready("default") && map("shop"); }));
  ASSERT_TRUE(
      eventually([&] { return (*second)->controllers().rules() && (*second)->controllers().rules()->policies.contains("default"); }));
  ASSERT_TRUE((*first)->at_rest());
  first.reset();
  const auto status = policy("default").at("status");
  (*second)->lead();
  ASSERT_TRUE((*second)->at_rest());
  EXPECT_EQ((*second)->writes(), 0);
  EXPECT_EQ(policy("default").at("status"), status);
  patch_policy("default", {{"injection", {{"env", {{"TEAM", "blue"}}}}}});
  EXPECT_TRUE(eventually([&] { return told("shop", "cistern-env", "TEAM") == "blue"; }));
}

TEST_P(InjectionTest, ConfigMapsFollowPolicyAndNamespaceAndGoWithThem) {
  install_webhook();
  add_namespace("shop", {{"cistern.dev/profile", "dev"}});
  add_namespace("plain");
  auto leads = leader();
  put_policy("default", {{"profiles", {{"dev", {{"retries", 1}}}}}});
  ASSERT_TRUE(eventually([&] { return map("shop", "cistern-env.none") && map("plain", "cistern-env-dev"); }));
  EXPECT_THAT(told("shop"), HasSubstr("/go/~dev/"));
  EXPECT_THAT(told("plain"), Not(HasSubstr("~")));
  const auto live = *map("plain");
  EXPECT_EQ(kube::label(live, "app.kubernetes.io/managed-by"), "cistern");
  EXPECT_EQ(kube::label(live, "cistern.dev/policy"), "default");
  EXPECT_EQ(live.at("metadata").at("ownerReferences").at(0).at("name"), "default");
  EXPECT_FALSE(map(kNs));

  client_->merge_patch(kube::kConfigMaps, {"plain", "cistern-env"}, Json{{"data", {{"GOPROXY", "off"}, {"MORE", "1"}}}});
  // What others add is told by managedFields, which the fake has not.
  const bool sees_others = std::string(GetParam()) == "real";
  EXPECT_TRUE(eventually([&] { return told("plain") != "off" && (!sees_others || told("plain", "cistern-env", "MORE").empty()); }));
  client_->remove(kube::kConfigMaps, {"plain", "cistern-env"});
  EXPECT_TRUE(eventually([&] { return map("plain").has_value(); }));
  patch_policy("default", {{"profiles", {{"dev", nullptr}, {"test", {{"retries", 1}}}}}});
  EXPECT_TRUE(eventually([&] { return map("plain", "cistern-env-test") && !map("plain", "cistern-env-dev"); }));
  label_namespace("plain", {{"cistern.dev/inject", "false"}});
  EXPECT_TRUE(eventually([&] { return !map("plain") && !map("plain", "cistern-env-test"); }));
  label_namespace("plain", {{"cistern.dev/inject", nullptr}});
  EXPECT_TRUE(eventually([&] { return map("plain").has_value(); }));
  ASSERT_TRUE((*leads)->at_rest());
  const double before = (*leads)->writes();
  (*leads)->controllers().resync();
  ASSERT_TRUE((*leads)->at_rest());
  EXPECT_EQ((*leads)->writes(), before);

  // Another policy takes a namespace over, and the first one goes.
  put_policy(
      "second",
      {{"priority", 5}, {"nodeSelector", {{"matchLabels", {{"a", "b"}}}}}, {"namespaceSelector", {{"matchLabels", {{"team", "b"}}}}}});
  label_namespace("plain", {{"team", "b"}});
  EXPECT_TRUE(eventually([&] { return map("plain") && kube::label(*map("plain"), "cistern.dev/policy") == "second"; }));
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "default"}));
  EXPECT_TRUE(eventually([&] { return policy("default").is_null(); }));
  EXPECT_FALSE(map("shop"));
  EXPECT_THAT(told("plain"), HasSubstr("cistern-second"));
}

TEST_P(InjectionTest, AConfigMapOfSomebodyElseIsLeftAloneAndTold) {
  install_webhook();
  add_namespace("shop");
  add_namespace("other");
  add_node("n1");
  ASSERT_TRUE(
      client_->create(kube::kConfigMaps, Json{{"metadata", {{"name", "cistern-env"}, {"namespace", "shop"}}}, {"data", {{"A", "b"}}}}));
  // Labelled as a policy's, yet none of those that the operator makes.
  ASSERT_TRUE(
      client_->create(kube::kConfigMaps, Json{{"metadata",
                                               {{"name", "theirs"},
                                                {"namespace", "shop"},
                                                {"labels", {{"cistern.dev/policy", "x"}, {"app.kubernetes.io/managed-by", "cistern"}}}}}}));
  auto leads = leader();
  put_policy("default");
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True ConfigMapRefused"); }))
      << condition("default", "Degraded");
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("ConfigMap shop/cistern-env is there already"));
  EXPECT_TRUE(eventually([&] { return map("other").has_value(); }));
  EXPECT_EQ(map("shop")->at("data"), Json({{"A", "b"}}));
  ASSERT_TRUE(client_->remove(kube::kConfigMaps, {"shop", "cistern-env"}));
  (*leads)->controllers().resync();
  EXPECT_TRUE(eventually([&] { return told("shop").starts_with("http") && condition("default", "Degraded").starts_with("False"); }));
  EXPECT_TRUE(map("shop", "theirs"));
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "default"}));
  EXPECT_TRUE(eventually([&] { return policy("default").is_null(); }));
  EXPECT_FALSE(map("shop"));
  EXPECT_TRUE(map("shop", "theirs"));
}

TEST_P(InjectionTest, ANamespaceThatIsBeingDeletedIsNoTrouble) {
  install_webhook();
  add_namespace("shop");
  auto leads = leader();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return map("shop").has_value(); }));
  ASSERT_TRUE((*leads)->at_rest());
  // A real one stays until its controller, which is not here, has emptied it.
  ASSERT_TRUE(client_->remove(kube::kNamespaces, {"", "shop"}));
  client_->remove(kube::kConfigMaps, {"shop", "cistern-env"});
  EXPECT_TRUE((*leads)->at_rest());
  const double before = (*leads)->writes();
  patch_policy("default", {{"injection", {{"env", {{"TEAM", "blue"}}}}}});
  EXPECT_TRUE(eventually([&] { return (*leads)->writes() > before; }));
  EXPECT_TRUE((*leads)->at_rest());
  EXPECT_THAT((*leads)->controllers().rules()->policies.at("default").base.variables, testing::Contains(testing::Key("TEAM")));
  EXPECT_THAT((*leads)->events().lines(), Not(testing::Contains(HasSubstr("ConfigMapRefused"))));
}

INSTANTIATE_TEST_SUITE_P(On, InjectionTest, testing::Values("fake", "real"), [](const auto& info) { return std::string(info.param); });

// As many as a large cluster has; against the fake only, which is quick.
class ManyNamespaces : public InjectionTest {};

TEST_P(ManyNamespaces, GetTheirConfigMapsAndCostNothingAfterwards) {
  install_webhook();
  for (int i = 0; i < 1000; ++i) add_namespace("ns-" + std::to_string(i));
  auto leads = leader();
  put_policy("default");
  ASSERT_TRUE(eventually([&] { return map("ns-999") && (*leads)->controllers().idle(); }, seconds(60)));
  ASSERT_TRUE((*leads)->at_rest());
  EXPECT_EQ(client_->list(kube::kConfigMaps, {"", "cistern.dev/policy=default", ""})->at("items").size(), 1001U);
  const double before = (*leads)->writes();
  (*leads)->controllers().resync();
  ASSERT_TRUE((*leads)->at_rest());
  EXPECT_EQ((*leads)->writes(), before);
  ASSERT_TRUE(client_->remove(kube::kMirrorPolicies, {"", "default"}));
  EXPECT_TRUE(eventually([&] { return policy("default").is_null(); }, seconds(60)));
  EXPECT_THAT(client_->list(kube::kConfigMaps, {"", "cistern.dev/policy=default", ""})->at("items"), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(On, ManyNamespaces, testing::Values("fake"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace cistern::reconcile
