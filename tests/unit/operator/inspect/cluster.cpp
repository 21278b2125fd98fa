#include "tests/unit/operator/inspect/cluster.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/encoding.hpp"
#include "operator/admission/certificates.hpp"
#include "operator/admission/decision.hpp"
#include "operator/node/lease.hpp"
#include "operator/render/node_config.hpp"
#include "yaml/node.hpp"

namespace cistern::inspect::test {
namespace {

constexpr const char* kSpec =
    "{go: {upstreams: [{name: main, url: \"https://goproxy.example\"}], private: [\"corp.example/*\"]}, images: {registries: [{name: "
    "docker.io, "
    "upstreams: [{url: \"https://mirror.example\"}]}, {name: quay.io, upstreams: [{url: \"https://quay.example\"}]}]}, "
    "storage: {size: 50Gi}, regions: {eu: {storage: {size: 100Gi}}}}";

Json named(const std::string& name, const std::string& ns = "") {
  Json object{{"metadata", {{"name", name}, {"uid", "uid-of-" + name}}}};
  if (!ns.empty()) object["metadata"]["namespace"] = ns;
  return object;
}

Json node(const std::string& name, const std::string& region) {
  auto object = named(name);
  object["metadata"]["labels"] = {{"kubernetes.io/hostname", name}};
  if (!region.empty()) object["metadata"]["labels"]["topology.kubernetes.io/region"] = region;
  object["status"] = yaml("{conditions: [{type: Ready, status: \"True\"}]}");
  return object;
}

Json ready_pod(const std::string& name, const std::string& node, const std::string& daemon_set, Json labels) {
  auto object = named(name, "cistern-system");
  object["metadata"]["labels"] = std::move(labels);
  object["metadata"]["ownerReferences"] = {{{"kind", "DaemonSet"}, {"name", daemon_set}}};
  object["spec"] = {{"nodeName", node}, {"dnsPolicy", "ClusterFirst"}, {"containers", Json::array()}};
  object["status"] = yaml("{phase: Running, conditions: [{type: Ready, status: \"True\"}, {type: PodScheduled, status: \"True\"}]}");
  object["status"]["podIP"] = "10.0.0.1";
  return object;
}

Json slice(const std::string& service, const std::string& policy) {
  auto object = named(service + "-abcde", "cistern-system");
  object["metadata"]["labels"] = {{"kubernetes.io/service-name", service}};
  if (!policy.empty()) object["metadata"]["labels"]["cistern.dev/policy"] = policy;
  object["endpoints"] = yaml("[{addresses: [10.0.0.1], conditions: {ready: true}}, {addresses: [10.0.0.2], conditions: {ready: true}}]");
  return object;
}

Json lease(const std::string& name, const std::string& holder, const std::string& renewed, unsigned duration) {
  auto object = named(name, "cistern-system");
  object["spec"] = {{"holderIdentity", holder}, {"renewTime", renewed}, {"leaseDurationSeconds", duration}};
  return object;
}

Json webhook_configuration() {
  auto object = named("cistern");
  object["webhooks"] = yaml(
      "[{name: pods.cistern.dev, failurePolicy: Ignore, clientConfig: {service: {name: cistern-webhook, namespace: cistern-system, path: "
      "/mutate-pods}}, namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, "
      "kube-public, kube-node-lease, cistern-system]}]}, objectSelector: {matchExpressions: [{key: cistern.dev/inject, operator: NotIn, "
      "values: [\"false\"]}]}}]");
  return object;
}

void put(Listed& list, Json object) {
  const auto name = kube::metadata(object, "name");
  std::erase_if(list.items, [&](const Json& item) { return kube::key_of(item) == kube::key_of(object); });
  list.items.push_back(std::move(object));
}

}  // namespace

WallTime now() {
  using namespace std::chrono;
  return sys_days(year(2026) / 6 / 1) + hours(12);
}

Json yaml(const std::string& text) {
  const auto documents = yaml::parse(text, "test");
  EXPECT_TRUE(documents) << documents.error().message;
  return Json::parse(yaml::to_json(documents->front()).dump());
}

Cluster::Cluster() {
  snapshot.now = now();
  snapshot.version = kube::Version{1, 34};
  for (const auto* list : snapshot.lists()) const_cast<Listed*>(list)->asked = true;
  for (const char* name : {"default", "shop", "kube-system", "cistern-system"}) {
    auto ns = named(name);
    ns["metadata"]["labels"] = {{"kubernetes.io/metadata.name", name}};
    put(snapshot.namespaces, std::move(ns));
  }
  put(snapshot.nodes, node("worker-1", "eu"));
  put(snapshot.nodes, node("worker-2", ""));
  auto crd = named(kCustomResource);
  crd["spec"] = yaml("{versions: [{name: v1alpha1, served: true}]}");
  crd["status"] = yaml("{conditions: [{type: Established, status: \"True\"}]}");
  put(snapshot.custom_resources, std::move(crd));
  auto deployment = named(kOperatorDeployment, "cistern-system");
  deployment["spec"] = {{"replicas", 2U}};
  deployment["status"] = {{"availableReplicas", 2U}};
  put(snapshot.deployments, std::move(deployment));
  put(snapshot.leases, lease(kLeaderLease, "cistern-operator-abc", "2026-06-01T11:59:58.000000Z", 15));
  put(snapshot.daemon_sets, named(kNodeDaemonSet, "cistern-system"));
  put(snapshot.webhooks, webhook_configuration());
  put(snapshot.endpoint_slices, slice(kWebhookService, ""));
  auto dns = named("coredns-1", "kube-system");
  dns["status"] = yaml("{conditions: [{type: Ready, status: \"True\"}]}");
  put(snapshot.dns_pods, std::move(dns));
  put_policy("default", kSpec, "2026-01-01T00:00:00Z");
  settle();
  certify(now() - std::chrono::days(1));
  pod = yaml(
      "{metadata: {name: build, namespace: shop}, spec: {nodeName: worker-1, dnsPolicy: ClusterFirst, containers: [{name: build, image: "
      "\"golang:1.26\"}]}}");
  pod = pod.patch(admission::decide(World(snapshot).rules(), "shop", pod).patch);
}

Json& Cluster::in(Listed& list, const std::string& name) {
  const auto found = std::ranges::find_if(list.items, [&](const Json& item) { return kube::metadata(item, "name") == name; });
  if (found == list.items.end()) throw std::invalid_argument("no " + name + " in " + list.what);
  return *found;
}

void Cluster::drop(Listed& list, const std::string& name) {
  std::erase_if(list.items, [&](const Json& item) { return kube::metadata(item, "name") == name; });
}

void Cluster::put_policy(const std::string& name, const std::string& spec, const std::string& created) {
  auto object = named(name);
  object["metadata"]["generation"] = 1U;
  object["metadata"]["creationTimestamp"] = created;
  object["spec"] = yaml(spec);
  object["status"]["observedGeneration"] = 1U;
  object["status"]["conditions"] = yaml(
      "[{type: Accepted, status: \"True\", reason: Accepted, message: The policy is valid.}, {type: Ready, status: \"True\", reason: "
      "InForce, "
      "message: All agents are ready.}, {type: Reconciling, status: \"False\", reason: Done, message: Done.}, {type: Stalled, status: "
      "\"False\", reason: AsExpected, message: Fine.}, {type: Degraded, status: \"False\", reason: AsExpected, message: Fine.}, {type: "
      "Overridden, status: \"False\", reason: NotOverridden, message: Fine.}]");
  put(snapshot.policies, std::move(object));
}

void Cluster::set_condition(const std::string& name, const std::string& type, const std::string& status, const std::string& reason,
                            const std::string& message) {
  for (auto& one : in(snapshot.policies, name)["status"]["conditions"]) {
    if (one["type"] == type) one = {{"type", type}, {"status", status}, {"reason", reason}, {"message", message}};
  }
}

void Cluster::settle() {
  const auto groups = World(snapshot).desired().plan.groups;
  for (const auto& group : groups) {
    const auto config = render::node_config(group, {});
    auto map = named("cistern-node-" + group.name, "cistern-system");
    map["data"] = {{"node.json", node::to_text(config)}};
    put(snapshot.config_maps, std::move(map));
    put(snapshot.endpoint_slices, slice("cistern-" + group.policy, group.policy));
    auto service = named("cistern-" + group.policy, "cistern-system");
    service["spec"] = {{"clusterIP", "10.96.0.7"}};
    put(snapshot.services, std::move(service));
    Json& groups_of_policy = in(snapshot.policies, group.policy)["status"]["groups"];
    groups_of_policy.push_back({{"name", group.name}, {"configHash", "hash-of-" + group.name}});
    for (const auto& name : group.nodes) {
      in(snapshot.nodes, name)["metadata"]["labels"][std::string(render::kGroupLabel)] = group.name;
      put(snapshot.pods,
          ready_pod("cistern-" + group.name + "-" + name, name, "cistern-" + group.name,
                    {{"app.kubernetes.io/component", "agent"}, {"cistern.dev/policy", group.policy}, {"cistern.dev/group", group.name}}));
      put(snapshot.pods, ready_pod("cistern-node-" + name, name, kNodeDaemonSet, {{"app.kubernetes.io/component", "node"}}));
      auto state = lease(node::lease_name(name), name, "2026-06-01T11:59:00.000000Z", 300);
      state["metadata"]["annotations"] = {{"cistern.dev/group", group.name},
                                          {"cistern.dev/config-hash", config.hash},
                                          {"cistern.dev/applied-hash", config.hash},
                                          {"cistern.dev/granted-hash", config.hash},
                                          {"cistern.dev/runtime", "containerd://2.1.4"},
                                          {"cistern.dev/agent-version", "0.1.0"},
                                          {"cistern.dev/state", "Applied"},
                                          {"cistern.dev/drift", "0"},
                                          {"cistern.dev/repairs", "1"},
                                          {"cistern.dev/failures", "0"},
                                          {"cistern.dev/message", ""}};
      put(snapshot.leases, std::move(state));
    }
  }
  const World world(snapshot);
  for (const auto& ns : snapshot.namespaces.items) {
    for (const auto& [name, data] : admission::environment_maps(world.rules(), kube::metadata(ns, "name"))) {
      put(snapshot.environment_maps, named(name, kube::metadata(ns, "name")));
    }
  }
}

void Cluster::certify(WallTime from) {
  const auto made = admission::next_certificates({}, "", admission::webhook_names("cistern-system", "cluster.local"), from);
  ASSERT_TRUE(made) << made.error().message;
  auto secret = named(kWebhookSecret, "cistern-system");
  for (const auto& [key, value] : made->data) {
    if (key.ends_with(".crt")) secret["data"][key] = to_base64(value);
  }
  put(snapshot.secrets, std::move(secret));
  in(snapshot.webhooks, "cistern")["webhooks"][0]["clientConfig"]["caBundle"] = to_base64(made->ca_bundle);
}

void Cluster::annotate_lease(const std::string& node, const std::string& key, const std::string& value) {
  in(snapshot.leases, node::lease_name(node))["metadata"]["annotations"]["cistern.dev/" + key] = value;
}

void Cluster::forbid(Listed& list) {
  list.items.clear();
  list.error = Error{ErrorCode::kForbidden, fmt::format("list {}: forbidden to user \"ann\"", list.what), std::nullopt};
}

}  // namespace cistern::inspect::test
