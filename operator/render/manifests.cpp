#include "operator/render/manifests.hpp"

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/plan/names.hpp"
#include "operator/render/objects.hpp"
#include "operator/render/references.hpp"
#include "operator/render/runtime.hpp"

namespace cistern::render {
namespace {

using nlohmann::json;

constexpr const char* kPeerKeyFile = "peer.key";
// A node that goes to another group waits for its old agent.
// While it has not come round that the pod ends, it is still asked; what is under way then gets the rest of five seconds.
constexpr std::chrono::seconds kShutdownDelay{2};
constexpr std::chrono::seconds kDrainTimeout{3};

std::string peers_service(const plan::Group& group) { return fmt::format("cistern-{}-peers", group.name); }

std::uint16_t pods_port(const plan::Group& group) { return group.effective.settings.agent.host_network ? kHostPodsPort : kPodsPort; }

config::Config group_config(const plan::Group& group, const Installation& installation, ReferencePlaces& places) {
  const auto& settings = group.effective.settings;
  auto config = agent_config(Served{group.policy, settings, group.go, group.views}, places);
  const bool on_host = settings.agent.host_network;
  config.listeners.node = on_host ? fmt::format("127.0.0.1:{}", kRuntimePort) : fmt::format("0.0.0.0:{}", kNodePort);
  config.listeners.pods = fmt::format("0.0.0.0:{}", pods_port(group));
  config.listeners.admin = fmt::format("0.0.0.0:{}", kAdminPort);
  config.server.shutdown_delay = kShutdownDelay;
  config.server.drain_timeout = kDrainTimeout;
  config.storage.path = kCacheFolder;
  if (settings.peers.mode == model::PeersMode::kOff) return config;
  config.peers.enabled = true;
  // With a dot at its end, as the pods' search list would make four questions of each.
  config.peers.dns = fmt::format("{}.{}.svc.{}.:{}", peers_service(group), installation.ns, installation.cluster_domain, pods_port(group));
  config.peers.key_file = kPeerKeyFile;
  return config;
}

// Over what the agent says takes effect after a restart only.
std::string start_hash(const config::Config& config) {
  config::Config start;
  start.listeners = config.listeners;
  start.server = config.server;
  start.storage = config.storage;
  return Digest(Sha256::of(config::to_yaml(start))).hex().substr(0, 16);
}

json port(const char* name, std::uint16_t number, const char* target) {
  return {{"name", name}, {"port", number}, {"targetPort", target}, {"protocol", "TCP"}};
}

json secret(const plan::Group& group, const Owner& owner, const Installation& installation, const std::map<std::string, std::string>& files,
            const std::string& hash) {
  json object = make_object("v1", "Secret", "cistern-" + group.name, object_labels(group.policy, group.name), owner, installation);
  object["metadata"]["annotations"][std::string(kHashAnnotation)] = hash;
  object["type"] = "Opaque";
  for (const auto& [name, content] : files) object["data"][name] = to_base64(content);
  return object;
}

// By which the agents of a group find each other: one address for each that is ready.
json headless_service(const plan::Group& group, const Owner& owner, const Installation& installation) {
  const auto labels = object_labels(group.policy, group.name);
  json object = make_object("v1", "Service", peers_service(group), labels, owner, installation);
  object["spec"] = {
      {"type", "ClusterIP"}, {"clusterIP", "None"}, {"selector", labels}, {"ports", json::array({port("pods", pods_port(group), "pods")})}};
  return object;
}

// What the API server knows of it: nothing that is on by default before 1.31, the node from 1.34 on.
const char* traffic_distribution(unsigned kubernetes_minor) {
  if (kubernetes_minor >= 34) return "PreferSameNode";
  return kubernetes_minor >= 31 ? "PreferClose" : nullptr;
}

Labels parse_labels(std::string_view text) {
  Labels labels;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto one = text.substr(0, comma);
    const auto equals = std::min(one.find('='), one.size());
    labels[std::string(one.substr(0, equals))] = one.substr(std::min(equals + 1, one.size()));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return labels;
}

json network_policy_rules(const Labels& agents, const Installation& installation) {
  const auto tcp = [](std::uint16_t number) { return json{{"port", number}, {"protocol", "TCP"}}; };
  const json for_pods = {{"ports", {tcp(kPodsPort), tcp(kHostPodsPort)}}};
  json askers = json::array({{{"podSelector", {{"matchLabels", parse_labels(installation.operator_selector)}}}}});
  for (const auto& ns : installation.metrics_namespaces) {
    askers.push_back({{"namespaceSelector", {{"matchLabels", {{"kubernetes.io/metadata.name", ns}}}}}});
  }
  const json for_askers = {{"ports", json::array({tcp(kAdminPort)})}, {"from", std::move(askers)}};
  return {{"podSelector", {{"matchLabels", agents}}}, {"policyTypes", json::array({"Ingress"})}, {"ingress", {for_pods, for_askers}}};
}

}  // namespace

Labels object_labels(const std::string& policy, const std::string& group) {
  Labels labels = {{"app.kubernetes.io/name", "cistern"},
                   {"app.kubernetes.io/component", "agent"},
                   {"app.kubernetes.io/managed-by", "cistern"},
                   {std::string(kPolicyOfObject), policy}};
  if (!group.empty()) labels[std::string(kGroupOfObject)] = group;
  return labels;
}

json make_object(const char* api_version, const char* kind, const std::string& name, const Labels& labels, const Owner& owner,
                 const Installation& installation) {
  const json reference = {
      {"apiVersion", model::kApiVersion}, {"kind", model::kKind}, {"name", owner.name}, {"uid", owner.uid}, {"controller", true}};
  return {
      {"apiVersion", api_version},
      {"kind", kind},
      {"metadata", {{"name", name}, {"namespace", installation.ns}, {"labels", labels}, {"ownerReferences", json::array({reference})}}}};
}

Result<GroupObjects> group_objects(const plan::Group& group, const Owner& owner, const Installation& installation,
                                   const References& references, const std::string& peer_key) {
  SecretFiles places(references, installation.ns);
  const auto config = group_config(group, installation, places);
  auto& files = places.files();
  files[kAgentFileName] = fmt::format("{}\n{}", kMark, config::to_yaml(config));
  if (config.peers.enabled) files[kPeerKeyFile] = peer_key;
  const auto loaded = config::load_mounted(files, kConfigFolder, kAgentFileName);
  if (!loaded) return fail(loaded.error().in(fmt::format("what group {} makes of the agent's file", group.name)));
  GroupObjects objects;
  objects.config_hash = loaded->hash;
  objects.secret = secret(group, owner, installation, files, loaded->hash);
  objects.service = headless_service(group, owner, installation);
  objects.daemon_set = daemon_set(group, owner, installation, start_hash(config));
  objects.missing = places.take_missing();
  return objects;
}

PolicyObjects policy_objects(const std::string& policy, const Owner& owner, const Installation& installation) {
  const std::string name = "cistern-" + plan::short_name(policy);
  const auto labels = object_labels(policy);
  PolicyObjects objects;
  objects.service = make_object("v1", "Service", name, labels, owner, installation);
  objects.service["spec"] = {{"type", "ClusterIP"}, {"selector", labels}, {"ports", json::array({port("pods", kPodsPort, "pods")})}};
  if (const char* traffic = traffic_distribution(installation.kubernetes_minor)) {
    objects.service["spec"]["trafficDistribution"] = traffic;
  }
  objects.network_policy = make_object("networking.k8s.io/v1", "NetworkPolicy", name, labels, owner, installation);
  objects.network_policy["spec"] = network_policy_rules(labels, installation);
  return objects;
}

}  // namespace cistern::render
