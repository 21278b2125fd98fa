// Injection as replicas of the operator keep it, on a fake and on a real API server: rules, certificates, ConfigMaps.
#include <gmock/gmock.h>

#include "base/encoding.hpp"
#include "operator/admission/certificates.hpp"
#include "operator/admission/endpoint.hpp"
#include "tests/unit/operator/admission/https_client.hpp"
#include "tests/unit/operator/admission/reviews.hpp"
#include "tests/unit/operator/reconcile/cluster_fixture.hpp"

namespace cistern::reconcile {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr const char* kWebhookHost = "cistern-webhook.cistern-system.svc";

// The configuration as the chart makes it, in short.
Json chart_configuration() {
  const Json rule = {{"apiGroups", {""}}, {"apiVersions", {"v1"}}, {"operations", {"CREATE"}}, {"resources", {"pods"}}};
  Json webhooks = Json::array();
  for (const auto* name : {"pods.cistern.dev", "more.cistern.dev"}) {
    webhooks.push_back({{"name", name},
                        {"admissionReviewVersions", {"v1"}},
                        {"sideEffects", "None"},
                        {"failurePolicy", "Ignore"},
                        {"rules", {rule}},
                        {"clientConfig", {{"service", {{"name", "cistern-webhook"}, {"namespace", kNs}, {"path", "/mutate-pods"}}}}}});
  }
  return {{"metadata", {{"name", kWebhookName}}}, {"webhooks", webhooks}};
}

// One replica with its webhook.
class Replica {
 public:
  Replica(const kube::Configuration& configuration, AgentProbe& probe, bool external = false) {
    auto opened = admission::open_server(endpoint_, "127.0.0.1:0", 1);
    EXPECT_TRUE(opened);
    server_ = std::move(*opened);
    server_->start();
    ControllersOptions options;
    options.policy.settle = seconds(0);
    options.webhook.enabled = true;
    options.webhook.external_certificates = external;
    options.webhook.use_rules = [this](std::shared_ptr<const admission::Rules> rules) { endpoint_.use(std::move(rules)); };
    options.webhook.use_certificate = [this](const std::string& cert, const std::string& key) {
      return server_->use_certificate(0, cert, key);
    };
    operator_ = std::make_unique<Operator>(configuration, probe, std::move(options));
  }
  ~Replica() {
    operator_.reset();
    server_->drain(std::chrono::milliseconds(100));
  }

  Operator* operator->() { return operator_.get(); }
  // A pod of `ns` is created, by an API server that trusts `bundle`: the variable of its first container; "<none>", or what went wrong.
  std::string injected(const std::string& ns, const std::string& bundle, const std::string& variable = "GOPROXY") {
    const auto pod = admission::test::pod();
    admission::test::HttpsClient client(kWebhookHost, server_->port(0), bundle);
    const auto answer = client.post("/mutate-pods", admission::test::review_of(pod, ns).dump());
    if (answer.status != 200) return "failed: " + answer.error;
    const auto response = Json::parse(answer.body).at("response");
    if (!response.contains("patch")) return "<none>";
    return admission::test::env(pod.patch(Json::parse(*from_base64(response.at("patch").get<std::string>()))), variable);
  }

 private:
  admission::Endpoint endpoint_{nullptr};
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<Operator> operator_;
};

class InjectionTest : public ClusterTest {
 protected:
  void install_webhook(Json annotations = Json::object()) {
    auto configuration = chart_configuration();
    configuration["metadata"]["annotations"] = std::move(annotations);
    const auto made = client_->create(kube::kMutatingWebhooks, configuration);
    ASSERT_TRUE(made) << made.error().message;
  }
  std::string bundle() {
    const auto got = client_->get(kube::kMutatingWebhooks, {"", kWebhookName});
    return got ? published_bundle(*got) : "";
  }
  void add_namespace(const std::string& name, Json labels = Json::object()) {
    ASSERT_TRUE(client_->create(kube::kNamespaces, Json{{"metadata", {{"name", name}, {"labels", std::move(labels)}}}}));
  }
  void label_namespace(const std::string& name, const Json& labels) {
    ASSERT_TRUE(client_->merge_patch(kube::kNamespaces, {"", name}, Json{{"metadata", {{"labels", labels}}}}));
  }
  // What the controllers of Kubernetes say of the policy's Service.
  void set_endpoint(const std::string& policy, bool ready) {
    const Json endpoints = Json::array({{{"addresses", {"10.0.0.1"}}, {"conditions", {{"ready", ready}}}}});
    const kube::ObjectKey key{kNs, "cistern-" + policy + "-x1"};
    if (client_->get(kube::kEndpointSlices, key)) {
      ASSERT_TRUE(client_->merge_patch(kube::kEndpointSlices, key, Json{{"endpoints", endpoints}}));
      return;
    }
    const auto made = client_->create(
        kube::kEndpointSlices, Json{{"metadata",
                                     {{"name", key.name},
                                      {"namespace", kNs},
                                      {"labels", {{"kubernetes.io/service-name", "cistern-" + policy}, {"cistern.dev/policy", policy}}}}},
                                    {"addressType", "IPv4"},
                                    {"endpoints", endpoints}});
    ASSERT_TRUE(made) << made.error().message;
  }
  std::unique_ptr<Replica> leader(bool external = false) {
    auto replica = std::make_unique<Replica>(backend_->configuration(), *daemon_sets_, external);
    (*replica)->lead();
    return replica;
  }
  std::unique_ptr<Replica> follower() { return std::make_unique<Replica>(backend_->configuration(), *daemon_sets_); }
  std::optional<Json> map(const std::string& ns, const std::string& name = "cistern-env") {
    auto got = client_->get(kube::kConfigMaps, {ns, name});
    return got ? std::optional(std::move(*got)) : std::nullopt;
  }
  std::string told(const std::string& ns, const std::string& name = "cistern-env", const std::string& variable = "GOPROXY") {
    const auto found = map(ns, name);
    return found ? found->value("data", Json::object()).value(variable, "") : "";
  }
  Json secret() { return client_->get(kube::kSecrets, {kNs, kWebhookSecret}).value_or(Json()); }
  void put_secret(const admission::SecretData& data) {
    Json encoded = Json::object();
    for (const auto& [key, value] : data) encoded[key] = to_base64(value);
    const auto made = client_->create(
        kube::kSecrets, Json{{"metadata", {{"name", kWebhookSecret}, {"namespace", kNs}}}, {"type", "Opaque"}, {"data", encoded}});
    ASSERT_TRUE(made) << made.error().message;
  }
  void publish(const std::string& pem) {
    auto webhooks = chart_configuration()["webhooks"];
    for (auto& webhook : webhooks) webhook["clientConfig"]["caBundle"] = to_base64(pem);
    ASSERT_TRUE(client_->merge_patch(kube::kMutatingWebhooks, {"", kWebhookName}, Json{{"webhooks", webhooks}}));
  }
};

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

TEST_P(InjectionTest, CertificatesAreMadeAndPutRight) {
  install_webhook();
  add_namespace("shop");
  put_policy("default");
  set_endpoint("default", true);
  auto leads = leader();
  auto follows = follower();
  const auto works = [&] {
    const auto now = bundle();
    return !now.empty() && leads->injected("shop", now).starts_with("http") && follows->injected("shop", now).starts_with("http");
  };
  ASSERT_TRUE(eventually(works)) << follows->injected("shop", bundle());
  EXPECT_TRUE((*leads)->events().has("Normal CertificatesRenewed cistern"));
  const auto made = client_->get(kube::kMutatingWebhooks, {"", kWebhookName});
  EXPECT_EQ(made->at("webhooks").size(), 2U);
  EXPECT_EQ(made->at("webhooks")[1].value("failurePolicy", ""), "Ignore");
  EXPECT_EQ(secret().at("metadata").at("ownerReferences").at(0).at("uid"), made->at("metadata").at("uid"));
  ASSERT_TRUE((*leads)->at_rest());
  const double before = (*leads)->writes();
  (*leads)->controllers().resync();
  ASSERT_TRUE((*leads)->at_rest());
  EXPECT_EQ((*leads)->writes(), before);

  const auto good = bundle();
  publish("");
  EXPECT_TRUE(eventually([&] { return bundle() == good; }, seconds(2)));
  client_->remove(kube::kMutatingWebhooks, {"", kWebhookName});
  install_webhook();
  EXPECT_TRUE(eventually([&] { return bundle() == good; }, seconds(2)));
  client_->remove(kube::kSecrets, {kNs, kWebhookSecret});
  EXPECT_TRUE(eventually([&] { return bundle() != good && works(); }, seconds(3)));
  client_->merge_patch(kube::kSecrets, {kNs, kWebhookSecret}, Json{{"data", {{"tls.crt", to_base64("damaged")}}}});
  EXPECT_TRUE(eventually([&] { return decoded(secret(), "tls.crt") != "damaged" && works(); }, seconds(3)));
}

TEST_P(InjectionTest, ACaIsReplacedWithoutAReviewThatFails) {
  const SystemClock clock;
  const auto names = admission::webhook_names(kNs, "cluster.local");
  // A CA whose time is nearly over, with a certificate that is not.
  auto old = *admission::next_certificates({}, "", names, clock.wall() - std::chrono::days(250));
  old = *admission::next_certificates(old.data, old.ca_bundle, names, clock.wall() - std::chrono::days(10));
  install_webhook();
  put_secret(old.data);
  publish(old.ca_bundle);
  add_namespace("shop");
  put_policy("default");
  set_endpoint("default", true);
  auto leads = leader();
  auto follows = follower();
  ASSERT_TRUE(eventually(
      [&] { return leads->injected("shop", bundle()).starts_with("http") && follows->injected("shop", bundle()).starts_with("http"); }));
  std::atomic<int> answered = 0;
  std::mutex mutex;
  std::string failure;
  std::jthread asks([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      // The API server hears of a bundle a moment later than it is written.
      const auto trusted = bundle();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      const auto value = (i % 2 == 0 ? *leads : *follows).injected("shop", trusted);
      ++answered;
      const std::lock_guard lock(mutex);
      if (!value.starts_with("http")) failure = value;
    }
  });
  const auto key = [&](const char* name) { return decoded(secret(), name); };
  ASSERT_TRUE(eventually([&] { return !key("overlap-since").empty() && bundle().find(key("ca-next.crt")) != std::string::npos; }));
  const auto next = key("ca-next.crt");
  ASSERT_FALSE(next.empty());
  const auto let_time_pass = [&] {
    const auto then = std::to_string((clock.wall() - 2 * admission::kOverlap).time_since_epoch().count());
    ASSERT_TRUE(client_->merge_patch(kube::kSecrets, {kNs, kWebhookSecret}, Json{{"data", {{"overlap-since", to_base64(then)}}}}));
  };
  let_time_pass();
  ASSERT_TRUE(eventually([&] { return key("ca.crt") == next && key("tls.crt") != old.data.at("tls.crt"); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  let_time_pass();
  ASSERT_TRUE(eventually([&] { return bundle() == next; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  asks = {};
  EXPECT_EQ(failure, "");
  EXPECT_GT(answered, 5);
}

TEST_P(InjectionTest, CertificatesOfOthersAreServedAndNeverWritten) {
  install_webhook({{"cert-manager.io/inject-ca-from", "cistern-system/cistern-webhook"}});
  add_namespace("shop");
  add_node("n1");
  put_policy("default");
  set_endpoint("default", true);
  auto leads = leader();
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True WebhookUnavailable"); }))
      << condition("default", "Degraded");
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("tls.crt"));
  EXPECT_TRUE(secret().is_null());
  EXPECT_EQ(bundle(), "");
  const auto step = *admission::next_certificates({}, "", admission::webhook_names(kNs, "cluster.local"), SystemClock().wall());
  put_secret({{"tls.crt", step.data.at("tls.crt")}, {"tls.key", step.data.at("tls.key")}});
  EXPECT_TRUE(eventually([&] { return leads->injected("shop", step.ca_bundle).starts_with("http"); }));
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").find("no caBundle") != std::string::npos; }));
  publish(step.ca_bundle);
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("False"); })) << condition("default", "Degraded");
  EXPECT_EQ(secret().at("data").size(), 2U);
}

TEST_P(InjectionTest, WithoutItsConfigurationThePolicySaysSo) {
  add_namespace("shop");
  add_node("n1");
  put_policy("default");
  put_policy("quiet", {{"nodeSelector", {{"matchLabels", {{"a", "b"}}}}}, {"injection", {{"mode", "Off"}}}});
  auto leads = leader();
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True WebhookUnavailable"); }));
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("there is no MutatingWebhookConfiguration cistern"));
  EXPECT_TRUE(eventually([&] { return is_ready("default"); }));
  EXPECT_THAT(condition("quiet", "Degraded"), StartsWith("False"));
  install_webhook();
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("False"); }));
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
