// The webhook as a real API server calls it.
#include <gmock/gmock.h>

#include "operator/admission/certificates.hpp"
#include "operator/admission/endpoint.hpp"
#include "base/encoding.hpp"
#include "operator/kube/client.hpp"
#include "tests/fakes/control_plane/control_plane.hpp"
#include "tests/unit/operator/admission/world.hpp"

namespace cistern::admission {
namespace {

using test::env;
using test::kGo;
using test::policy;
using test::rules_of;
using testing::HasSubstr;

constexpr kube::Resource kConfigurations{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
                                         "MutatingWebhookConfiguration", false};
constexpr const char* kName = "cistern";

// As the chart makes it, but for the address.
Json configuration(unsigned short port, const std::string& ca_bundle, const char* failure_policy = "Ignore") {
  const Json rule = {
      {"apiGroups", {""}}, {"apiVersions", {"v1"}}, {"operations", {"CREATE"}}, {"resources", {"pods"}}, {"scope", "Namespaced"}};
  return {
      {"metadata", {{"name", kName}}},
      {"webhooks",
       {{{"name", "pods.cistern.dev"},
         {"admissionReviewVersions", {"v1"}},
         {"sideEffects", "None"},
         {"failurePolicy", failure_policy},
         {"reinvocationPolicy", "IfNeeded"},
         {"matchPolicy", "Equivalent"},
         {"timeoutSeconds", 3},
         {"rules", {rule}},
         {"namespaceSelector",
          {{"matchExpressions",
            {{{"key", "kubernetes.io/metadata.name"},
              {"operator", "NotIn"},
              {"values", {"kube-system", "kube-public", "kube-node-lease", "cistern-system"}}}}}}},
         {"objectSelector", {{"matchExpressions", {{{"key", "cistern.dev/inject"}, {"operator", "NotIn"}, {"values", {"false"}}}}}}},
         {"clientConfig", {{"url", "https://localhost:" + std::to_string(port) + "/mutate-pods"}, {"caBundle", to_base64(ca_bundle)}}}}}}};
}

class WebhookApi : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (fakes::ControlPlane::programs().empty()) return;
    plane_ = std::make_unique<fakes::ControlPlane>();
    ASSERT_TRUE(plane_->start()) << plane_->log();
  }
  static void TearDownTestSuite() { plane_.reset(); }

  void SetUp() override {
    if (plane_ == nullptr) GTEST_SKIP() << "no kube-apiserver here; `./cistern test` builds it";
    client_ = std::move(*kube::make_client(plane_->configuration(), {}));
    auto opened = open_server(endpoint_, "127.0.0.1:0", 1);
    ASSERT_TRUE(opened) << opened.error().message;
    server_ = std::move(*opened);
    server_->start();
    step_ = *next_certificates({}, "", {"localhost"}, SystemClock().wall());
    ASSERT_TRUE(server_->use_certificate(0, step_.data.at("tls.crt"), step_.data.at("tls.key")));
    for (const auto* ns : {"shop", "out", "cistern-system"}) client_->create(kube::kNamespaces, Json{{"metadata", {{"name", ns}}}});
    use(std::string(kGo) + ", profiles: {dev: {}}");
  }
  void TearDown() override {
    if (client_ != nullptr) client_->remove(kConfigurations, {"", kName});
  }

  void use(const std::string& spec) {
    endpoint_.use(std::make_shared<const Rules>(
        rules_of(policy("name: default", spec),
                 {{"shop", {}}, {"out", {{"cistern.dev/inject", "false"}}}, {"kube-system", {}}, {"cistern-system", {}}})));
  }
  void install(const std::string& ca_bundle, const char* failure_policy = "Ignore") {
    const auto made = client_->create(kConfigurations, configuration(server_->port(0), ca_bundle, failure_policy));
    ASSERT_TRUE(made) << made.error().message;
  }
  // The API server hears of its own configurations a moment later.
  void wait_until_called() {
    for (int i = 0; i < 200 && calls_ == 0; ++i) {
      create("shop", test::pod());
      if (calls_ == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ASSERT_GT(calls_, 0);
  }
  // The pod as it is stored.
  Json create(const std::string& ns, Json pod) {
    pod["metadata"]["namespace"] = ns;
    for (const auto* list : {"containers", "initContainers"}) {
      for (auto& container : pod["spec"].contains(list) ? pod["spec"][list] : pod["status"]) container["image"] = "golang";
    }
    const auto made = client_->create(kube::kPods, pod);
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : Json{{"spec", {{"containers", Json::array({Json::object()})}}}};
  }

  static inline std::unique_ptr<fakes::ControlPlane> plane_;
  std::atomic<int> calls_ = 0;
  Endpoint endpoint_{[this](unsigned, std::chrono::microseconds) { ++calls_; }};
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<kube::Client> client_;
  CertificateStep step_;
};

TEST_F(WebhookApi, new_pods_get_their_variables) {
  install(step_.ca_bundle, "Fail");  // so that a call that fails is seen
  wait_until_called();
  auto before = test::pod({{{"name", "a"}},
                           {{"name", "b"}, {"env", {{{"name", "GOPROXY"}, {"value", "direct"}}}}},
                           {{"name", "c"}, {"envFrom", {{{"secretRef", {{"name", "own"}}}}}}}});
  before["spec"]["initContainers"] = {{{"name", "i"}}};
  const auto pod = create("shop", before);
  EXPECT_THAT(env(pod, "GOPROXY", 0), HasSubstr("cistern-default.cistern-system.svc:5050/go/"));
  EXPECT_EQ(env(pod, "GOPROXY", 1), "direct");
  EXPECT_EQ(env(pod, "GONOPROXY", 1), "<none>");
  EXPECT_EQ(env(pod, "GOPROXY", 2), "<none>");
  EXPECT_EQ(pod["spec"]["containers"][2]["envFrom"][0]["configMapRef"], Json({{"name", "cistern-env"}, {"optional", true}}));
  EXPECT_EQ(env(pod, "GOSUMDB", 0, "initContainers"), "sum.golang.org");
  EXPECT_EQ(kube::annotation(pod, "cistern.dev/injected"), "default");
  EXPECT_EQ(kube::annotation(pod, "cistern.dev/injected-variables"), "GONOPROXY,GOPROXY,GOSUMDB");

  auto dev = test::pod();
  dev["metadata"]["annotations"]["cistern.dev/profile"] = "dev";
  EXPECT_THAT(env(create("shop", dev), "GOPROXY"), HasSubstr("/go/~dev/"));
}

TEST_F(WebhookApi, what_opted_out_or_is_the_systems_is_not_changed_nor_asked_about_where_selectors_can_say_it) {
  install(step_.ca_bundle, "Fail");
  wait_until_called();
  const auto untouched = [](const Json& pod) {
    return env(pod, "GOPROXY") == "<none>" && kube::annotation(pod, "cistern.dev/injected").empty();
  };
  EXPECT_TRUE(untouched(create("out", test::pod())));
  EXPECT_FALSE(untouched(create("out", test::labelled(test::pod(), "true"))));
  const int before = calls_;
  EXPECT_TRUE(untouched(create("shop", test::labelled(test::pod(), "false"))));
  EXPECT_TRUE(untouched(create("kube-system", test::labelled(test::pod(), "true"))));
  EXPECT_TRUE(untouched(create("cistern-system", test::pod())));
  EXPECT_EQ(calls_, before);
}

TEST_F(WebhookApi, large_pods_come_through) {
  install(step_.ca_bundle, "Fail");
  wait_until_called();
  auto large = test::pod();
  for (int i = 0; i < 3000; ++i)
    large["spec"]["containers"][0]["env"].push_back({{"name", "V" + std::to_string(i)}, {"value", std::string(200, 'x')}});
  EXPECT_THAT(env(create("shop", large), "GOPROXY"), HasSubstr("/go/"));
}

TEST_F(WebhookApi, a_certificate_that_changes_breaks_no_creation) {
  install(step_.ca_bundle, "Fail");
  wait_until_called();
  for (int i = 0; i < 5; ++i) {
    auto damaged = step_.data;
    damaged.erase("tls.crt");
    step_ = *next_certificates(damaged, step_.ca_bundle, {"localhost"}, SystemClock().wall());
    ASSERT_TRUE(server_->use_certificate(0, step_.data.at("tls.crt"), step_.data.at("tls.key")));
    EXPECT_THAT(env(create("shop", test::pod()), "GOPROXY"), HasSubstr("/go/"));
  }
}

TEST_F(WebhookApi, a_webhook_that_is_not_trusted_or_gone_stops_no_pod) {
  install(next_certificates({}, "", {"localhost"}, SystemClock().wall())->ca_bundle);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(env(create("shop", test::pod()), "GOPROXY"), "<none>");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(calls_, 0);
  client_->remove(kConfigurations, {"", kName});
  install(step_.ca_bundle);
  wait_until_called();
  server_->drain(std::chrono::milliseconds(100));
  server_.reset();
  EXPECT_EQ(env(create("shop", test::pod()), "GOPROXY"), "<none>");
}

}  // namespace
}  // namespace cistern::admission
