// Rights that the operator does not have: each is told by the policy's status, and what is not concerned goes on.
#include <gmock/gmock.h>

#include "operator/reconcile/controllers.hpp"
#include "tests/fakes/api_server/api_server.hpp"
#include "tests/unit/operator/reconcile/cluster_fixture.hpp"

namespace cistern::reconcile {
namespace {

struct Denial {
  const char* name;
  kube::Resource resource;
};

std::ostream& operator<<(std::ostream& out, const Denial& denial) { return out << denial.name; }

// Forbids every write of one resource, but not of its status.
class DenyingClient final : public kube::Client {
 public:
  DenyingClient(kube::Client& client, const kube::Resource& denied) : client_(client), denied_(denied) {}

  std::atomic<bool> denies = true;
  std::atomic<bool> denies_list = false;

  Result<kube::Version> server_version() override { return client_.server_version(); }
  Result<Json> get(const kube::Resource& resource, const kube::ObjectKey& key) override { return client_.get(resource, key); }
  Result<Json> list(const kube::Resource& resource, const kube::Selection& selection) override {
    if (denies_list && denied_ == resource) return forbidden();
    return client_.list(resource, selection);
  }
  Result<Json> create(const kube::Resource& resource, const Json& object) override { return client_.create(resource, object); }
  Result<Json> replace(const kube::Resource& resource, const Json& object) override { return client_.replace(resource, object); }
  Result<Json> apply(const kube::Resource& resource, const Json& object, const kube::ApplyOptions& options) override {
    if (is_denied(resource, options.subresource)) return forbidden();
    return client_.apply(resource, object, options);
  }
  Result<Json> merge_patch(const kube::Resource& resource, const kube::ObjectKey& key, const Json& patch,
                           const std::string& subresource) override {
    if (is_denied(resource, subresource)) return forbidden();
    return client_.merge_patch(resource, key, patch, subresource);
  }
  Result<void> remove(const kube::Resource& resource, const kube::ObjectKey& key, const kube::RemoveOptions& options) override {
    return client_.remove(resource, key, options);
  }
  Result<void> watch(const kube::Resource& resource, const kube::WatchOptions& options,
                     const std::function<void(kube::WatchEvent)>& on_event, std::stop_token stop) override {
    return client_.watch(resource, options, on_event, std::move(stop));
  }
  void interrupt() override { client_.interrupt(); }

 private:
  bool is_denied(const kube::Resource& resource, const std::string& subresource) const {
    return denies && resource == denied_ && subresource.empty();
  }
  Failure forbidden() const {
    return fail(ErrorCode::kForbidden, "patch {}: 403: User \"cistern-operator\" cannot patch it", denied_.plural);
  }

  kube::Client& client_;
  const kube::Resource denied_;
};

class DenialTest : public testing::TestWithParam<Denial> {};

TEST_P(DenialTest, IsToldByTheStatusAndForgottenOnceTheRightIsGiven) {
  fakes::ApiServer server;
  server.put(kube::kNodes, Json{{"metadata", {{"name", "n1"}}}, {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
  server.put(kube::kMirrorPolicies,
             Json{{"metadata", {{"name", "default"}}}, {"spec", {{"go", {{"upstreams", {{{"url", "https://proxy.example"}}}}}}}}});
  kube::Configuration configuration;
  configuration.server = server.url();
  const auto client = std::move(*kube::make_client(configuration, {}));
  DenyingClient denying(*client, GetParam().resource);
  const SystemClock clock;
  RecordedEvents events;
  Metrics metrics("test");
  const auto probe = make_agent_probe();
  render::Installation installation;
  installation.ns = kNs;
  installation.image = "registry.example/cistern:test";
  Controllers controllers(denying, clock, events, metrics, *probe, installation, {});
  controllers.start();
  std::jthread leading([&](const std::stop_token& stop) { controllers.lead(stop); });
  const auto condition = [&](const std::string& type) {
    const auto policy = server.object(kube::kMirrorPolicies, {"", "default"});
    for (const auto& one : policy->value("status", Json::object()).value("conditions", Json::array())) {
      if (one.at("type") == type)
        return fmt::format("{} {} {}", one.value("status", ""), one.value("reason", ""), one.value("message", ""));
    }
    return std::string();
  };
  EXPECT_TRUE(fakes::eventually([&] { return condition("Stalled").starts_with("True ApplyRefused"); })) << condition("Ready");
  EXPECT_THAT(condition("Stalled"), testing::HasSubstr(std::string(GetParam().resource.plural) + ": 403"));
  EXPECT_TRUE(condition("Ready").starts_with("False ApplyRefused")) << condition("Ready");
  // Told once the status is written.
  EXPECT_TRUE(fakes::eventually([&] { return events.has("Warning ApplyRefused default"); }));
  denying.denies = false;
  controllers.resync();
  EXPECT_TRUE(fakes::eventually([&] { return condition("Stalled").starts_with("False"); }, std::chrono::seconds(10)))
      << condition("Stalled");
  leading.request_stop();
  leading.join();
  controllers.stop();
}

TEST(ClusterKnown, AllThatIsNeededIsKnownWithoutTheRightToReadEvents) {
  fakes::ApiServer server;
  kube::Configuration configuration;
  configuration.server = server.url();
  const auto client = std::move(*kube::make_client(configuration, {}));
  DenyingClient denying(*client, kube::kCoreEvents);
  denying.denies_list = true;
  const SystemClock clock;
  Cluster cluster(denying, clock, kNs, {});
  cluster.start();
  EXPECT_TRUE(fakes::eventually([&] { return cluster.has_synced(); }));
  EXPECT_TRUE(cluster.refusals().disconnected());
  EXPECT_THAT(cluster.troubles(), testing::IsEmpty());
  cluster.stop();
}

// With the webhook served, without one of the rights that only it needs: the rest is as ever, and the policy says what is amiss.
class InjectionDenialTest : public testing::TestWithParam<Denial> {};

TEST_P(InjectionDenialTest, LeavesTheRestAndIsToldByTheStatus) {
  fakes::ApiServer server;
  server.put(kube::kNodes, Json{{"metadata", {{"name", "n1"}}}});
  server.put(kube::kNamespaces, Json{{"metadata", {{"name", "shop"}}}});
  server.put(kube::kMutatingWebhooks, Json{{"metadata", {{"name", kWebhookName}}}, {"webhooks", {{{"name", "pods.cistern.dev"}}}}});
  server.put(kube::kMirrorPolicies,
             Json{{"metadata", {{"name", "default"}}}, {"spec", {{"go", {{"upstreams", {{{"url", "https://proxy.example"}}}}}}}}});
  kube::Configuration configuration;
  configuration.server = server.url();
  const auto client = std::move(*kube::make_client(configuration, {}));
  DenyingClient denying(*client, GetParam().resource);
  denying.denies_list = std::string(GetParam().name).ends_with("_read");
  const SystemClock clock;
  RecordedEvents events;
  Metrics metrics("test");
  const auto probe = make_agent_probe();
  render::Installation installation;
  installation.ns = kNs;
  installation.image = "registry.example/cistern:test";
  ControllersOptions options;
  options.webhook.enabled = true;
  Controllers controllers(denying, clock, events, metrics, *probe, installation, options);
  controllers.start();
  std::jthread leading([&](const std::stop_token& stop) { controllers.lead(stop); });
  const auto degraded = [&] {
    const auto policy = server.object(kube::kMirrorPolicies, {"", "default"});
    for (const auto& one : policy->value("status", Json::object()).value("conditions", Json::array())) {
      if (one.at("type") == "Degraded") return fmt::format("{} {}", one.value("reason", ""), one.value("message", ""));
    }
    return std::string();
  };
  EXPECT_TRUE(fakes::eventually([&] { return degraded().starts_with("WebhookUnavailable"); })) << degraded();
  EXPECT_THAT(degraded(), testing::HasSubstr(std::string(GetParam().resource.plural) + ": 403"));
  EXPECT_TRUE(fakes::eventually([&] { return server.object(kube::kDaemonSets, {kNs, "cistern-default"}).has_value(); }));
  leading.request_stop();
  leading.join();
  controllers.stop();
}

INSTANTIATE_TEST_SUITE_P(Of, InjectionDenialTest,
                         testing::Values(Denial{"webhooks_write", kube::kMutatingWebhooks},
                                         Denial{"webhooks_read", kube::kMutatingWebhooks}, Denial{"endpoints_read", kube::kEndpointSlices}),
                         [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(Of, DenialTest,
                         testing::Values(Denial{"policies", kube::kMirrorPolicies}, Denial{"nodes", kube::kNodes},
                                         Denial{"secrets", kube::kSecrets}, Denial{"services", kube::kServices},
                                         Denial{"daemon_sets", kube::kDaemonSets}, Denial{"config_maps", kube::kConfigMaps},
                                         Denial{"network_policies", kube::kNetworkPolicies}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace cistern::reconcile
