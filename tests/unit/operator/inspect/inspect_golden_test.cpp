// What `doctor` and `explain` say of a cluster that is spoilt in one way: a folder of files under golden/ for each.
#include <gmock/gmock.h>

#include "operator/reconcile/desired.hpp"
#include "tests/unit/operator/inspect/cluster.hpp"
#include "tests/unit/operator/render/golden.hpp"

namespace cistern::inspect {
namespace {

using test::Cluster;

struct Scenario {
  const char* name;
  void (*spoil)(Cluster& cluster);
};

reconcile::AgentReport report(const std::string& hash) {
  reconcile::AgentReport made;
  made.config_hash = hash;
  made.upstreams = {{"main", "closed", "", "", {1.0F, 12.5F, 20.0F, 2.0F, 14.5F, true}}};
  return made;
}

void replace_in_lease(Cluster& cluster, const std::string& state, const std::string& message, const std::string& applied) {
  cluster.annotate_lease("worker-1", "state", state);
  cluster.annotate_lease("worker-1", "message", message);
  cluster.annotate_lease("worker-1", "applied-hash", applied);
}

void make_unready(Json& pod, const std::string& status) { pod["status"] = test::yaml(status); }

// With the pod's former annotations and variables gone, as if nothing had been put in.
void forget_injection(Json& pod) {
  pod["metadata"].erase("annotations");
  pod["spec"]["containers"][0].erase("env");
}

const Scenario kScenarios[] = {
    {"healthy",
     [](Cluster& cluster) {
       cluster.snapshot.answers.emplace("uid-of-cistern-default-eu-worker-1", report("hash-of-default-eu"));
       cluster.snapshot.answers.emplace("uid-of-cistern-default-worker-2", report("hash-of-default"));
     }},
    {"nothing_installed",
     [](Cluster& cluster) {
       Snapshot empty;
       for (const auto* list : empty.lists()) const_cast<Listed*>(list)->asked = true;
       empty.now = test::now();
       empty.version = kube::Version{1, 29};
       empty.nodes = cluster.snapshot.nodes;
       empty.namespaces = cluster.snapshot.namespaces;
       empty.policies.error =
           Error{ErrorCode::kNotFound, "list mirrorpolicies: the server could not find the requested resource", std::nullopt};
       cluster.snapshot = std::move(empty);
     }},
    {"no_policy",
     [](Cluster& cluster) {
       cluster.snapshot.policies.items.clear();
       forget_injection(cluster.pod);
     }},
    {"config_path_missing",
     [](Cluster& cluster) {
       replace_in_lease(
           cluster, "Unsupported",
           "containerd reads no hosts.toml, as its config_path is not set: in /etc/containerd/config.toml set "
           "[plugins.\"io.containerd.cri.v1.images\".registry] config_path = \"/etc/containerd/certs.d\" and restart containerd, "
           "or let this be done by configureContainerd",
           "none");
     }},
    {"apply_failed_and_drift",
     [](Cluster& cluster) {
       replace_in_lease(cluster, "Failed", "write /etc/containerd/certs.d/docker.io/hosts.toml: No space left on device", "none");
       cluster.annotate_lease("worker-1", "failures", "4");
       cluster.annotate_lease("worker-2", "drift", "1");
       cluster.annotate_lease("worker-2", "message", "left alone, as marked: /etc/containerd/certs.d/quay.io/hosts.toml");
     }},
    {"node_waits_for_its_turn",
     [](Cluster& cluster) { replace_in_lease(cluster, "Waiting", "waits for its turn (nodeConfig.maxUnavailable)", "0123456789abcdef"); }},
    {"lease_is_stale",
     [](Cluster& cluster) {
       Cluster::in(cluster.snapshot.leases, "cistern-node-worker-1")["spec"]["renewTime"] = "2026-06-01T09:00:00.5Z";
     }},
    {"node_program_missing",
     [](Cluster& cluster) {
       cluster.snapshot.daemon_sets.items.clear();
       Cluster::drop(cluster.snapshot.leases, "cistern-node-worker-1");
     }},
    {"host_port_taken",
     [](Cluster& cluster) {
       make_unready(
           Cluster::in(cluster.snapshot.pods, "cistern-default-eu-worker-1"),
           "{phase: Pending, conditions: [{type: PodScheduled, status: \"False\", message: \"0/2 nodes are available: 1 node(s) didn't "
           "have free ports for the requested pod ports.\"}]}");
       cluster.snapshot.all_pods.items.push_back(test::yaml(
           "{metadata: {name: registry, namespace: shop}, spec: {nodeName: worker-1, containers: [{ports: [{hostPort: 5050}]}]}}"));
     }},
    {"agent_crashes",
     [](Cluster& cluster) {
       make_unready(
           Cluster::in(cluster.snapshot.pods, "cistern-default-worker-2"),
           "{phase: Running, containerStatuses: [{restartCount: 7, state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m}}, "
           "lastState: {terminated: {exitCode: 1, message: no room}}}]}");
     }},
    {"upstream_unreachable",
     [](Cluster& cluster) {
       auto said = report("an-older-hash");
       said.upstreams = {{"main", "open", "connect: Connection refused"}};
       cluster.snapshot.answers.emplace("uid-of-cistern-default-eu-worker-1", said);
       cluster.snapshot.answers.emplace("uid-of-cistern-default-worker-2", fail(ErrorCode::kTimeout, "no answer"));
       cluster.set_condition("default", "Degraded", "True", "UpstreamUnreachable", "1 agent does not ask upstream main.");
     }},
    {"agents_not_reachable_from_here",
     [](Cluster& cluster) {
       cluster.snapshot.answers.emplace("uid-of-cistern-default-eu-worker-1", fail(ErrorCode::kTimeout, "no answer"));
     }},
    {"webhook_missing",
     [](Cluster& cluster) {
       cluster.snapshot.webhooks.items.clear();
       forget_injection(cluster.pod);
     }},
    {"webhook_without_endpoints",
     [](Cluster& cluster) {
       Cluster::in(cluster.snapshot.endpoint_slices, "cistern-webhook-abcde")["endpoints"] = Json::array();
       Cluster::in(cluster.snapshot.webhooks, "cistern")["webhooks"][0]["failurePolicy"] = "Fail";
       forget_injection(cluster.pod);
     }},
    {"webhook_leaves_a_namespace_out",
     [](Cluster& cluster) {
       Cluster::in(cluster.snapshot.webhooks, "cistern")["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"].push_back(
           "shop");
       forget_injection(cluster.pod);
     }},
    {"certificate_expired", [](Cluster& cluster) { cluster.certify(test::now() - std::chrono::days(100)); }},
    {"certificate_of_another_ca",
     [](Cluster& cluster) {
       const auto bundle = Cluster::in(cluster.snapshot.webhooks, "cistern")["webhooks"][0]["clientConfig"]["caBundle"];
       cluster.certify(test::now() - std::chrono::days(2));
       Cluster::in(cluster.snapshot.webhooks, "cistern")["webhooks"][0]["clientConfig"]["caBundle"] = bundle;
     }},
    {"certificate_ends_soon", [](Cluster& cluster) { cluster.certify(test::now() - std::chrono::days(80)); }},
    {"service_without_endpoints",
     [](Cluster& cluster) {
       Cluster::in(cluster.snapshot.endpoint_slices, "cistern-default-abcde")["endpoints"] = Json::array();
       forget_injection(cluster.pod);
     }},
    {"no_dns",
     [](Cluster& cluster) {
       cluster.snapshot.dns_pods.items.clear();
       cluster.snapshot.all_pods.items.push_back(test::yaml(
           "{metadata: {name: probe, namespace: shop}, spec: {nodeName: worker-1, hostNetwork: true, dnsPolicy: ClusterFirst}}"));
       cluster.pod["spec"]["hostNetwork"] = true;
       forget_injection(cluster.pod);
     }},
    {"another_policy_wins",
     [](Cluster& cluster) {
       cluster.put_policy(
           "strong",
           "{priority: 10, nodeSelector: {matchLabels: {kubernetes.io/hostname: worker-1}}, namespaceSelector: {matchLabels: {"
           "kubernetes.io/metadata.name: shop}}, go: {upstreams: [{url: \"https://other.example\"}]}, injection: {mode: "
           "OptIn}}");
       cluster.settle();
       cluster.set_condition("default", "Overridden", "True", "OtherPolicyWins", "strong owns 1 node and 1 namespace.");
     }},
    {"selects_nothing",
     [](Cluster& cluster) {
       cluster.put_policy("default",
                          "{nodeSelector: {matchLabels: {pool: build}}, namespaceSelector: {matchExpressions: [{key: team, operator: In, "
                          "values: [a, b]}]}, go: {upstreams: [{url: \"https://goproxy.example\"}]}}");
       forget_injection(cluster.pod);
     }},
    {"newest_spec_invalid",
     [](Cluster& cluster) {
       const auto desired = World(cluster.snapshot).desired();
       cluster.snapshot.config_maps.items.push_back(reconcile::accepted_config_map(desired.policies.at("default"), "cistern-system"));
       auto& policy = Cluster::in(cluster.snapshot.policies, "default");
       policy["metadata"]["generation"] = 2U;
       policy["spec"]["retries"] = 1000;
       cluster.set_condition("default", "Accepted", "False", "Invalid", "spec.retries: is 1000.");
     }},
    {"references_missing",
     [](Cluster& cluster) {
       cluster.put_policy("default",
                          "{go: {upstreams: [{url: \"https://goproxy.example\", credentialsRef: {name: corp}, caRef: {name: corp-ca}}]}}");
       cluster.settle();
     }},
    {"strict_and_report",
     [](Cluster& cluster) {
       cluster.put_policy("default",
                          "{images: {registries: [{name: docker.io, fallbackToSource: false, upstreams: [{url: \"https://m.example\"}]}]}, "
                          "profiles: {look: {nodeConfig: {mode: Report}}}}");
       Cluster::in(cluster.snapshot.nodes, "worker-2")["metadata"]["labels"]["cistern.dev/profile"] = "look";
       cluster.settle();
       cluster.annotate_lease("worker-1", "kept-in-fallback", "docker.io");
       cluster.annotate_lease("worker-2", "state", "Reported");
       forget_injection(cluster.pod);
     }},
    {"uninstalling_and_leftovers",
     [](Cluster& cluster) {
       cluster.snapshot.config_maps.items.push_back(test::yaml("{metadata: {name: cistern-uninstall}}"));
       Cluster::in(cluster.snapshot.nodes, "worker-2")["metadata"]["labels"]["cistern.dev.node-restriction.kubernetes.io/restore"] = "true";
       replace_in_lease(cluster, "Restored", "Cistern is being uninstalled", "none");
     }},
    {"operator_gone",
     [](Cluster& cluster) {
       Cluster::in(cluster.snapshot.leases, "cistern-operator")["spec"]["renewTime"] = "2026-06-01T10:00:00.000000Z";
       Cluster::in(cluster.snapshot.deployments, "cistern-operator")["status"]["availableReplicas"] = 0U;
       Cluster::in(cluster.snapshot.nodes, "worker-2")["metadata"]["labels"].erase(std::string(render::kGroupLabel));
     }},
    {"opted_out",
     [](Cluster& cluster) {
       Cluster::in(cluster.snapshot.namespaces, "shop")["metadata"]["labels"]["cistern.dev/inject"] = "false";
       cluster.snapshot.environment_maps.items.clear();
       forget_injection(cluster.pod);
     }},
    {"created_before", [](Cluster& cluster) { forget_injection(cluster.pod); }},
    {"own_goproxy",
     [](Cluster& cluster) {
       for (auto& variable : cluster.pod["spec"]["containers"][0]["env"]) {
         if (variable["name"] == "GOPROXY") variable["value"] = "https://user:secret@proxy.example";
       }
       cluster.pod["spec"]["containers"].push_back({{"name", "sidecar"}, {"image", "ghcr.io/acme/sidecar"}});
     }},
    {"node_is_not_ready",
     [](Cluster& cluster) {
       Cluster::in(cluster.snapshot.nodes, "worker-1")["status"]["conditions"][0]["status"] = "Unknown";
       Cluster::in(cluster.snapshot.leases, "cistern-node-worker-1")["spec"]["renewTime"] = "2026-06-01T09:00:00Z";
     }},
    {"injected_and_agents_gone",
     [](Cluster& cluster) { Cluster::in(cluster.snapshot.endpoint_slices, "cistern-default-abcde")["endpoints"] = Json::array(); }},
    {"few_rights",
     [](Cluster& cluster) {
       auto& all = cluster.snapshot;
       for (auto* list :
            {&all.secrets, &all.all_pods, &all.pods, &all.leases, &all.deployments, &all.daemon_sets, &all.services, &all.endpoint_slices,
             &all.webhooks, &all.custom_resources, &all.dns_pods, &all.config_maps, &all.environment_maps}) {
         cluster.forbid(*list);
       }
       all.version = std::nullopt;
       all.version_error = "forbidden";
     }},
};

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

std::string told(const Result<Explained>& explained) { return explained ? to_text(*explained) : explained.error().message + "\n"; }

class InspectGolden : public testing::TestWithParam<Scenario> {};

TEST_P(InspectGolden, doctor_and_explain_say_what_is_recorded) {
  Cluster cluster;
  ASSERT_NO_FATAL_FAILURE(GetParam().spoil(cluster));
  const World world(cluster.snapshot);
  const auto lines = diagnose(world);
  const std::map<std::string, std::string> files{
      {"doctor.txt", to_text(lines)},
      {"node-worker-1.txt", told(explain_node(world, "worker-1", {}))},
      {"node-worker-2.txt", told(explain_node(world, "worker-2", {{"nodeConfig.mode"}, false}))},
      {"namespace-shop.txt", told(explain_namespace(world, "shop", {{"go.private"}, false}))},
      {"pod-shop-build.txt", told(explain_pod(world, cluster.pod, {{"injection.mode"}, false}))}};
  for (const auto& [name, content] : files) EXPECT_THAT(content, testing::Not(testing::HasSubstr("user:secret"))) << name;
  render::test::expect_recorded(fakes::source_folder() / "tests/unit/operator/inspect/golden" / GetParam().name, files);
}

INSTANTIATE_TEST_SUITE_P(Clusters, InspectGolden, testing::ValuesIn(kScenarios),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cistern::inspect
