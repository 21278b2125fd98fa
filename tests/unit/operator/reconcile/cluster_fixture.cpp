#include "tests/unit/operator/reconcile/cluster_fixture.hpp"

#include <fmt/format.h>

#include "base/encoding.hpp"
#include "operator/kube/leader_election.hpp"
#include "tests/fakes/api_server/api_server.hpp"
#include "tests/fakes/control_plane/control_plane.hpp"

namespace cistern::reconcile {
namespace {

class FakeBackend final : public Backend {
 public:
  std::string start() override { return {}; }
  kube::Configuration configuration() const override {
    kube::Configuration configuration;
    configuration.server = server_.url();
    return configuration;
  }
  bool restart() override {
    server_.go_down();
    std::this_thread::sleep_for(milliseconds(300));
    server_.come_up();
    return true;
  }

 private:
  fakes::ApiServer server_;
};

class RealBackend final : public Backend {
 public:
  std::string start() override {
    if (!plane_.start()) return "no API server: " + plane_.log();
    auto client = kube::make_client(configuration(), {});
    if (!client) return client.error().message;
    return fakes::install_crd(**client) ? "" : "the CRD was not taken: " + plane_.log();
  }
  kube::Configuration configuration() const override { return plane_.configuration(); }
  bool restart() override { return plane_.restart_api_server(); }

 private:
  fakes::ControlPlane plane_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& kind) {
  if (kind == "real") return std::make_unique<RealBackend>();
  return std::make_unique<FakeBackend>();
}

void RecordedEvents::record(const Json& object, kube::EventType type, std::string_view reason, std::string_view, std::string note) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(
      fmt::format("{} {} {}: {}", type == kube::EventType::kWarning ? "Warning" : "Normal", reason, kube::metadata(object, "name"), note));
}

std::vector<std::string> RecordedEvents::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

bool RecordedEvents::has(const std::string& part) const {
  return std::ranges::any_of(lines(), [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

Operator::Operator(const kube::Configuration& configuration, AgentProbe& probe, ControllersOptions options, bool node_program) {
  client_ = std::move(*kube::make_client(configuration, {}));
  counting_ = std::make_unique<CountingClient>(*client_, metrics_);
  render::Installation installation;
  installation.ns = kNs;
  installation.image = "registry.example/cistern:test";
  installation.kubernetes_minor = 34;
  installation.node_program = node_program;
  controllers_ = std::make_unique<Controllers>(*counting_, clock_, events_, metrics_, probe, installation, std::move(options));
  controllers_->start();
}

void Operator::lead() {
  leading_ = std::jthread([this](const std::stop_token& stop) { controllers_->lead(stop); });
}

void Operator::stand_for_election(const std::string& identity) {
  leading_ = std::jthread([this, identity](const std::stop_token& stop) {
    kube::ElectionOptions options;
    options.lease = {kNs, "cistern-operator"};
    options.identity = identity;
    options.lease_duration = std::chrono::seconds(3);
    options.renew_deadline = std::chrono::seconds(2);
    options.retry_period = std::chrono::seconds(1);
    kube::run_election(
        *counting_, clock_, options, [this](const std::stop_token& token) { controllers_->lead(token); }, [](const std::string&) {}, stop);
  });
}

void Operator::stop() {
  leading_ = {};
  if (controllers_) controllers_->stop();
}

bool Operator::at_rest() {
  return fakes::eventually(
      [&] {
        if (!controllers_->leads()) return false;
        // Long enough for what a write sets off to come back.
        for (int i = 0; i < 10; ++i) {
          if (!controllers_->idle()) return false;
          std::this_thread::sleep_for(milliseconds(50));
        }
        return true;
      },
      std::chrono::seconds(30));
}

void ClusterTest::SetUp() {
  if (std::string(GetParam()) == "real" && fakes::ControlPlane::programs().empty()) {
    GTEST_SKIP() << "no kube-apiserver here; `./cistern test` builds it";
  }
  backend_ = make_backend(GetParam());
  ASSERT_EQ(backend_->start(), "");
  client_ = std::move(*kube::make_client(backend_->configuration(), {}));
  ASSERT_TRUE(client_->create(kube::kNamespaces, Json{{"metadata", {{"name", kNs}}}}));
  daemon_sets_ = std::make_unique<DaemonSets>(*client_, kNs);
}

Operator& ClusterTest::start_operator(ControllersOptions options, bool node_program) {
  options.policy.settle = std::chrono::seconds(0);
  operator_ = std::make_unique<Operator>(backend_->configuration(), *daemon_sets_, std::move(options), node_program);
  operator_->lead();
  return *operator_;
}

void ClusterTest::add_node(const std::string& name, Json labels) {
  ASSERT_TRUE(client_->create(kube::kNodes, Json{{"metadata", {{"name", name}, {"labels", std::move(labels)}}}}));
  const Json ready{{"status", {{"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
  ASSERT_TRUE(client_->merge_patch(kube::kNodes, {"", name}, ready, "status"));
}

void ClusterTest::put_policy(const std::string& name, Json spec) {
  if (!spec.contains("go")) spec["go"] = {{"upstreams", Json::array({{{"url", "https://goproxy.io"}}})}};
  const auto created = client_->create(kube::kMirrorPolicies, Json{{"apiVersion", kube::kMirrorPolicies.api_version()},
                                                                   {"kind", kube::kMirrorPolicies.kind},
                                                                   {"metadata", {{"name", name}}},
                                                                   {"spec", std::move(spec)}});
  ASSERT_TRUE(created) << created.error().message;
}

void ClusterTest::patch_policy(const std::string& name, const Json& spec) {
  const auto patched = client_->merge_patch(kube::kMirrorPolicies, {"", name}, Json{{"spec", spec}});
  ASSERT_TRUE(patched) << patched.error().message;
}

Json ClusterTest::policy(const std::string& name) {
  auto got = client_->get(kube::kMirrorPolicies, {"", name});
  return got ? std::move(*got) : Json();
}

std::string ClusterTest::condition(const std::string& name, const std::string& type) {
  const Json live = policy(name);
  if (!live.contains("status")) return {};
  for (const auto& one : live.at("status").value("conditions", Json::array())) {
    if (one.at("type") == type) {
      return fmt::format("{} {} {}", one.at("status").get<std::string>(), one.at("reason").get<std::string>(),
                         one.at("message").get<std::string>());
    }
  }
  return {};
}

std::string ClusterTest::group_of(const std::string& node) {
  const auto got = client_->get(kube::kNodes, {"", node});
  return got ? kube::label(*got, render::kGroupLabel) : std::string();
}

std::optional<Json> ClusterTest::object(const kube::Resource& resource, const std::string& name) {
  auto got = client_->get(resource, {resource.namespaced ? kNs : "", name});
  return got ? std::optional(std::move(*got)) : std::nullopt;
}

std::size_t ClusterTest::count(const kube::Resource& resource, const std::string& labels) {
  const auto listed = client_->list(resource, {resource.namespaced ? kNs : "", labels, ""});
  return listed ? listed->at("items").size() : 0;
}

bool ClusterTest::is_clean() {
  const std::string ours(render::kPolicyOfObject);
  for (const auto* resource :
       {&kube::kDaemonSets, &kube::kServices, &kube::kSecrets, &kube::kNetworkPolicies, &kube::kConfigMaps, &kube::kPods}) {
    if (count(*resource, ours) != 0) return false;
  }
  return count(kube::kNodes, std::string(render::kGroupLabel)) == 0;
}

std::string ClusterTest::decoded(const Json& secret, const std::string& key) {
  const auto data = secret.value("data", Json::object());
  if (!data.contains(key)) return {};
  return from_base64(data.at(key).get<std::string>()).value_or("");
}

}  // namespace cistern::reconcile
