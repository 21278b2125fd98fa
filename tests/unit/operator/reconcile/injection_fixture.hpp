// Replicas of the operator with their webhooks, beside the cluster of cluster_fixture.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/encoding.hpp"
#include "operator/admission/certificates.hpp"
#include "operator/admission/endpoint.hpp"
#include "tests/unit/operator/admission/https_client.hpp"
#include "tests/unit/operator/admission/reviews.hpp"
#include "tests/unit/operator/reconcile/cluster_fixture.hpp"

namespace cistern::reconcile {

inline constexpr const char* kWebhookHost = "cistern-webhook.cistern-system.svc";

// The configuration as the chart makes it, in short.
inline Json chart_configuration() {
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
    options.policy.settle = std::chrono::seconds(0);
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

}  // namespace cistern::reconcile
