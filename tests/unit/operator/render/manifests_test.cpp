#include "operator/render/manifests.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.hpp"
#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/render/node_config.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::render {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kPeerKey = "0123456789abcdef";
constexpr const char* kGo = "go: {upstreams: [{url: \"https://a.example\", credentialsRef: {name: corp}, caRef: {name: ca}}]}";
constexpr const char* kImages =
    "images: {registries: [{name: docker.io, upstreams: [{url: \"https://registry-1.docker.io\", credentialsRef: {name: hub}}]}]}";

const Owner kOwner{"default", "1234"};

model::Policy parsed(const std::string& spec, const std::string& name = "default") {
  const auto policies = model::parse_policies(
      "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n", "p.yaml");
  EXPECT_TRUE(policies) << policies.error().message;
  return policies ? policies->front() : model::Policy{};
}

// The group of a node with these labels.
plan::Group group_of(const std::string& spec, const std::map<std::string, std::string>& labels = {}) {
  const auto plan = plan::plan_cluster({parsed(spec)}, {{"n", labels}}, {}, "cistern-system");
  EXPECT_EQ(plan.groups.size(), 1U);
  return plan.groups.at(0);
}

Installation installation(unsigned minor = 34) {
  Installation result;
  result.image = "registry.example/cistern:1";
  result.kubernetes_minor = minor;
  return result;
}

GroupObjects objects_of(const std::string& spec, const References& references = {}) {
  auto objects = group_objects(group_of(spec), kOwner, installation(), references, kPeerKey);
  EXPECT_TRUE(objects) << objects.error().message;
  return objects ? *objects : GroupObjects{};
}

std::map<std::string, std::string> files_of(const GroupObjects& objects) {
  std::map<std::string, std::string> files;
  for (const auto& item : objects.secret["data"].items()) files[item.key()] = *from_base64(item.value().get<std::string>());
  return files;
}

std::vector<std::string> missing_of(const GroupObjects& objects) {
  std::vector<std::string> lines;
  for (const auto& missing : objects.missing) lines.push_back(missing.path + ": " + missing.reason);
  return lines;
}

const json& agent(const GroupObjects& objects) { return objects.daemon_set["spec"]["template"]["spec"]["containers"][0]; }

TEST(GroupSecret, holds_what_the_agents_loader_takes_and_answers_with_the_hash_that_it_computes) {
  References references;
  references.secrets["corp"] = {{"username", "ann"}, {"password", "sesame"}, {"other", "not passed on"}};
  references.secrets["hub"] = {{".dockerconfigjson", R"({"auths": {"docker.io": {"username": "bob", "password": "pw"}}})"}};
  const auto objects = objects_of(std::string(kGo) + ", " + kImages, references);
  const auto files = files_of(objects);
  std::vector<std::string> names;
  for (const auto& [name, content] : files) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("agent.yaml", "corp.password", "corp.username", "hub..dockerconfigjson", "peer.key"));

  fakes::TemporaryFolder mounted;
  for (const auto& [name, content] : files) mounted.write(name, content);
  const auto loaded = config::load(mounted.path() / "agent.yaml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->hash, objects.config_hash);
  EXPECT_EQ(objects.secret["metadata"]["annotations"][std::string(kHashAnnotation)], objects.config_hash);
  const auto& config = loaded->config;
  EXPECT_EQ(config.go_views[0].upstreams[0].credentials, (config::Credentials{"ann", "sesame", ""}));
  EXPECT_EQ(config.registries[0].upstreams[0].credentials, (config::Credentials{"bob", "pw", ""}));
  EXPECT_EQ(config.storage.path, "/var/lib/cistern/cache");
  EXPECT_EQ(config.peers.dns, "cistern-default-peers.cistern-system.svc.cluster.local.:5050");
  EXPECT_EQ(config.peers.key, kPeerKey);
  EXPECT_EQ(config.server.drain_timeout, std::chrono::seconds(5));
}

TEST(GroupSecret, says_what_to_create_for_what_is_missing_and_leaves_it_out) {
  const auto objects = objects_of(std::string(kGo) + ", " + kImages);
  EXPECT_THAT(
      missing_of(objects),
      ElementsAre("spec.go.upstreams[0].credentialsRef: Secret corp does not exist in cistern-system; create it with the keys username "
                  "and password, or token",
                  "spec.go.upstreams[0].caRef: neither a ConfigMap nor a Secret ca in cistern-system has the key ca.crt; create one "
                  "with the certificates as PEM; until then the system's certificates are trusted",
                  "spec.images.registries[0].upstreams[0].credentialsRef: Secret hub does not exist in cistern-system; create it with "
                  "the key .dockerconfigjson (type kubernetes.io/dockerconfigjson), or username and password"));
  const auto loaded = config::load_mounted(files_of(objects), "/etc/cistern");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.go_views[0].upstreams[0].credentials, std::nullopt);
  EXPECT_THAT(loaded->config.go_views[0].upstreams[0].ca_file, IsEmpty());
}

TEST(GroupSecret, what_can_not_be_used_is_missing_too_and_is_never_repeated) {
  References references;
  references.secrets["corp"] = {{"password", "sesame"}};
  references.secrets["hub"] = {{".dockerconfigjson", R"({"auths": {"quay.io": {"username": "bob", "password": "sesame"}}})"}};
  references.config_maps["ca"] = {{"ca.crt", "sesame"}};
  const auto objects = objects_of(std::string(kGo) + ", " + kImages, references);
  EXPECT_THAT(
      missing_of(objects),
      ElementsAre(
          "spec.go.upstreams[0].credentialsRef: Secret corp in cistern-system can not be used: there is a password without a username; "
          "give it the keys username and password, or token",
          "spec.go.upstreams[0].caRef: ca.crt of ConfigMap ca in cistern-system is not a PEM file of certificates (-----BEGIN "
          "CERTIFICATE-----); put the certificates there; until then the system's certificates are trusted",
          "spec.images.registries[0].upstreams[0].credentialsRef: Secret hub in cistern-system can not be used: .dockerconfigjson: has "
          "no entry for registry-1.docker.io; give it the key .dockerconfigjson (type kubernetes.io/dockerconfigjson), or username and "
          "password"));
  EXPECT_EQ(objects.config_hash, objects_of(std::string(kGo) + ", " + kImages).config_hash) << "as if they were not there";
  references.secrets["corp"] = {{"unrelated", "x"}};
  EXPECT_THAT(missing_of(objects_of(kGo, references))[0],
              HasSubstr("Secret corp in cistern-system has neither username and password, nor token"));
}

TEST(GroupSecret, a_view_that_keeps_the_upstreams_does_not_repeat_what_is_missing_and_one_with_its_own_names_them) {
  const auto objects = objects_of(
      "go: {upstreams: [{url: \"https://a\", credentialsRef: {name: corp}}]}, "
      "profiles: {dev: {go: {deny: [x.example]}}, prod: {go: {upstreams: [{url: \"https://b\", credentialsRef: {name: corp}}]}}}");
  ASSERT_EQ(objects.missing.size(), 2U);
  EXPECT_EQ(objects.missing[0].path, "spec.go.upstreams[0].credentialsRef");
  EXPECT_EQ(objects.missing[1].path, "spec.profiles.prod.go.upstreams[0].credentialsRef");
}

TEST(GroupSecret, credentials_that_change_change_the_hash_and_no_pod_template) {
  References one;
  one.secrets["corp"] = {{"token", "1"}};
  auto two = one;
  two.secrets["corp"]["token"] = "2";
  const auto before = objects_of(kGo, one);
  const auto after = objects_of(kGo, two);
  EXPECT_NE(before.config_hash, after.config_hash);
  EXPECT_EQ(before.daemon_set, after.daemon_set);
}

TEST(GroupSecret, without_peers_has_no_key) {
  const auto files = files_of(objects_of("peers: {mode: Off}, go: {upstreams: [{url: \"https://a\"}]}"));
  EXPECT_THAT(files, testing::SizeIs(1));
}

TEST(GroupObjects, a_peers_key_that_no_agent_takes_is_told_with_the_agents_words) {
  const auto objects = group_objects(group_of(kGo), kOwner, installation(), {}, "short");
  ASSERT_FALSE(objects);
  EXPECT_EQ(objects.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(objects.error().message, HasSubstr("what group default makes of the agent's file: agent.yaml:"));
  EXPECT_THAT(objects.error().message, HasSubstr("holds fewer than 16 bytes"));
}

TEST(GroupDaemonSet, rolls_only_for_what_an_agent_reads_as_it_starts) {
  const std::string go = "go: {upstreams: [{url: \"https://a\"}]}, ";
  const auto before = objects_of(go).daemon_set;
  EXPECT_EQ(objects_of(go + "retries: 1, timeouts: {idle: 5s}").daemon_set, before);
  EXPECT_NE(objects_of(go + "storage: {size: 1Gi}").daemon_set, before) << "the quota";
  EXPECT_NE(objects_of(go + "agent: {hostNetwork: true}").daemon_set, before) << "the listeners";
  auto rolled = objects_of(go + "nodeConfig: {maxUnavailable: 3}").daemon_set;
  EXPECT_EQ(rolled["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], 3);
  EXPECT_EQ(rolled["spec"]["template"], before["spec"]["template"]);
}

TEST(GroupDaemonSet, has_a_selector_that_stays_when_its_name_goes_to_another_policy) {
  const auto selector = [](const std::string& policy) {
    plan::Group group = group_of(kGo);
    group.policy = policy;
    return group_objects(group, {policy, "1"}, installation(), {}, kPeerKey)->daemon_set["spec"]["selector"];
  };
  EXPECT_EQ(selector("one"), selector("two"));
  EXPECT_EQ(selector("one")["matchLabels"][std::string(kGroupOfObject)], "default");
}

TEST(GroupDaemonSet, replaces_at_least_one_agent_at_a_time) {
  for (const auto* none : {"0", "0%"}) {
    const auto object = objects_of(fmt::format("nodeConfig: {{maxUnavailable: {}}}", none)).daemon_set;
    EXPECT_EQ(object["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], 1);
  }
  EXPECT_EQ(objects_of("").daemon_set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], "10%");
}

TEST(GroupDaemonSet, runs_as_nobody_with_no_right_and_only_the_folders_preparation_is_root) {
  const auto spec = objects_of(kGo).daemon_set["spec"]["template"]["spec"];
  EXPECT_EQ(spec["automountServiceAccountToken"], false);
  EXPECT_EQ(spec["securityContext"]["runAsNonRoot"], true);
  EXPECT_EQ(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  for (const auto* kind : {"containers", "initContainers"}) {
    ASSERT_EQ(spec[kind].size(), 1U);
    const auto& security = spec[kind][0]["securityContext"];
    EXPECT_EQ(security["readOnlyRootFilesystem"], true);
    EXPECT_EQ(security["allowPrivilegeEscalation"], false);
    EXPECT_EQ(security["capabilities"]["drop"], json::array({"ALL"}));
    EXPECT_FALSE(security.contains("privileged"));
  }
  EXPECT_FALSE(spec["containers"][0]["securityContext"].contains("runAsUser"));
  EXPECT_FALSE(spec["containers"][0]["securityContext"]["capabilities"].contains("add"));
  EXPECT_GT(spec["terminationGracePeriodSeconds"], 5);
}

TEST(GroupDaemonSet, has_one_cache_folder_for_a_policy_whichever_group_a_node_is_in) {
  const auto path = [](const plan::Group& group) {
    const auto objects = group_objects(group, kOwner, installation(), {}, kPeerKey);
    return objects->daemon_set["spec"]["template"]["spec"]["volumes"][1]["hostPath"]["path"].get<std::string>();
  };
  const std::string spec = "storage: {hostPath: /srv/}, regions: {cn: {}}";
  EXPECT_EQ(path(group_of(spec)), "/srv/default");
  EXPECT_EQ(path(group_of(spec, {{"topology.kubernetes.io/region", "cn"}})), "/srv/default");
}

TEST(GroupDaemonSet, in_the_hosts_network_keeps_the_node_listener_on_loopback_and_leaves_the_pods_listener_its_own_port) {
  const auto objects = objects_of(std::string(kGo) + ", agent: {hostNetwork: true}");
  const auto loaded = config::load_mounted(files_of(objects), "/etc/cistern");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.listeners.node, "127.0.0.1:5050");
  EXPECT_EQ(loaded->config.listeners.pods, "0.0.0.0:5053");
  EXPECT_EQ(loaded->config.peers.dns, "cistern-default-peers.cistern-system.svc.cluster.local.:5053");
  EXPECT_EQ(objects.service["spec"]["ports"][0]["port"], 5053);
  EXPECT_EQ(objects.daemon_set["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirstWithHostNet");
  for (const auto& port : agent(objects)["ports"]) EXPECT_EQ(port["hostPort"], port["containerPort"]) << port;
  EXPECT_EQ(agent(objects)["ports"][2]["hostIP"], "127.0.0.1");
}

TEST(GroupDaemonSet, puts_only_the_node_listener_on_the_host_and_there_on_loopback) {
  const auto ports = agent(objects_of(kGo))["ports"];
  EXPECT_EQ(ports[0]["name"], "pods");
  EXPECT_FALSE(ports[0].contains("hostPort"));
  EXPECT_FALSE(ports[1].contains("hostPort"));
  EXPECT_EQ(ports[2], json({{"name", "node"}, {"containerPort", 5052}, {"hostPort", 5050}, {"hostIP", "127.0.0.1"}, {"protocol", "TCP"}}));
}

TEST(PolicyService, prefers_the_node_as_far_as_the_cluster_knows_how) {
  const auto traffic = [](unsigned minor) {
    return policy_objects("p", kOwner, installation(minor)).service["spec"].value("trafficDistribution", "");
  };
  EXPECT_EQ(traffic(30), "");
  EXPECT_EQ(traffic(31), "PreferClose");
  EXPECT_EQ(traffic(33), "PreferClose");
  EXPECT_EQ(traffic(34), "PreferSameNode");
}

TEST(PolicyService, selects_the_pods_of_all_groups_of_the_policy) {
  const auto service = policy_objects("default", kOwner, installation()).service;
  const auto labels = objects_of(kGo).daemon_set["spec"]["template"]["metadata"]["labels"];
  for (const auto& wanted : service["spec"]["selector"].items()) EXPECT_EQ(labels[wanted.key()], wanted.value());
  EXPECT_FALSE(service["spec"]["selector"].contains(std::string(kGroupOfObject)));
  EXPECT_EQ(service["spec"]["ports"][0]["targetPort"], agent(objects_of(kGo))["ports"][0]["name"]);
}

TEST(PolicyNetworkPolicy, opens_the_pods_listener_to_all_the_admin_listener_to_the_operator_and_the_node_listener_to_nobody) {
  const auto spec = policy_objects("default", kOwner, installation()).network_policy["spec"];
  std::map<int, json> from;
  for (const auto& rule : spec["ingress"]) {
    for (const auto& port : rule["ports"]) from[port["port"]] = rule.value("from", json());
  }
  EXPECT_TRUE(from.at(5050).is_null());
  EXPECT_TRUE(from.at(5053).is_null());
  EXPECT_EQ(from.at(5051), json::parse(R"([{"podSelector": {"matchLabels":
      {"app.kubernetes.io/name": "cistern", "app.kubernetes.io/component": "operator"}}}])"));
  EXPECT_FALSE(from.contains(5052));
}

TEST(PolicyNetworkPolicy, opens_the_admin_listener_to_the_namespaces_that_collect_metrics) {
  auto with_metrics = installation();
  with_metrics.metrics_namespaces = {"monitoring"};
  const auto rules = policy_objects("default", kOwner, with_metrics).network_policy["spec"]["ingress"];
  EXPECT_EQ(rules[1]["ports"][0]["port"], 5051);
  EXPECT_EQ(rules[1]["from"][1], json::parse(R"({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}})"));
}

TEST(Objects, of_a_policy_with_the_longest_name_have_names_and_labels_that_fit) {
  const std::string name(63, 'p');
  const auto objects = policy_objects(name, {name, "1"}, installation());
  EXPECT_LE(objects.service["metadata"]["name"].get<std::string>().size(), 63U);
  EXPECT_EQ(objects.service["metadata"]["labels"][std::string(kPolicyOfObject)], name);
  EXPECT_EQ(objects.service["metadata"]["ownerReferences"][0]["name"], name);
}

TEST(Objects, are_the_same_each_time) {
  const auto one = objects_of(std::string(kGo) + ", " + kImages);
  const auto two = objects_of(std::string(kGo) + ", " + kImages);
  EXPECT_EQ(one.secret.dump() + one.service.dump() + one.daemon_set.dump(), two.secret.dump() + two.service.dump() + two.daemon_set.dump());
}

TEST(ReferencedNames, are_those_of_the_policy_and_of_its_overlays) {
  const auto names = referenced_names(parsed(std::string(kGo) + ", " + kImages +
                                             ", regions: {cn: {go: {upstreams: [{url: \"https://b\", credentialsRef: {name: cn}}]}}}, "
                                             "profiles: {p: {go: {upstreams: [{url: \"https://c\", caRef: {name: aca}}]}}}"));
  EXPECT_THAT(names.secrets, ElementsAre("aca", "ca", "cn", "corp", "hub"));
  EXPECT_THAT(names.config_maps, ElementsAre("aca", "ca"));
}

TEST(NodeConfigMap, IsWhatTheNodeProgramParses) {
  auto policy = parsed(
      "nodeConfig: {runtimes: [crio]}, storage: {onDelete: Keep}, images: {registries: [{name: docker.io, fallbackToSource: false, "
      "upstreams: [{url: \"https://a\"}]}, {name: quay.io, fallbackToSource: false, upstreams: [{url: \"https://b\"}]}]}");
  const auto plan = plan::plan_cluster({policy}, {{"n1", {}}}, {}, "cistern-system");
  ASSERT_EQ(plan.groups.size(), 1U);
  const auto config = node_config(plan.groups.front(), {"quay.io", "ghcr.io"}, true);
  EXPECT_EQ(kept_in_fallback(plan.groups.front(), {"quay.io", "ghcr.io"}), std::vector<std::string>{"quay.io"});
  const auto object = node_config_map(config, kOwner, Installation{});
  EXPECT_EQ(object.at("metadata").at("name"), "cistern-node-default");
  EXPECT_EQ(object.at("metadata").at("labels").at("cistern.dev/group"), "default");
  const auto read = node::parse_config(object.at("data").at("node.json").get<std::string>());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, config);
  EXPECT_TRUE(read->registries.at(0).strict);
  EXPECT_FALSE(read->registries.at(1).strict);
  EXPECT_TRUE(read->configure_containerd);
  EXPECT_TRUE(read->keep_storage);
  EXPECT_EQ(read->runtimes, std::vector<std::string>{"crio"});
}

TEST(RegistryOfImage, IsTheHostOrDockerHub) {
  EXPECT_EQ(registry_of_image("busybox"), "docker.io");
  EXPECT_EQ(registry_of_image("library/busybox:1"), "docker.io");
  EXPECT_EQ(registry_of_image("index.docker.io/library/busybox"), "docker.io");
  EXPECT_EQ(registry_of_image("docker.io/x/y@sha256:0"), "docker.io");
  EXPECT_EQ(registry_of_image("registry.k8s.io/pause:3.9"), "registry.k8s.io");
  EXPECT_EQ(registry_of_image("localhost/x"), "localhost");
  EXPECT_EQ(registry_of_image("registry:5000/a/b"), "registry:5000");
  EXPECT_EQ(registry_of_image("x:tag"), "docker.io");
}

}  // namespace
}  // namespace cistern::render
