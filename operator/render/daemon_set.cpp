#include "operator/plan/names.hpp"
#include "operator/render/objects.hpp"
#include "operator/render/quantity.hpp"

namespace cistern::render {
namespace {

using nlohmann::json;

constexpr int kAgentUser = 65532;
// Of which the agent takes 5 s to let clients finish.
constexpr int kGraceSeconds = 10;
constexpr const char* kProgram = "/usr/bin/cache-agent";
constexpr const char* kConfigVolume = "config";
constexpr const char* kCacheVolume = "cache";

// Agents of many nodes are replaced one after the other by this; with 0 no change would ever arrive.
json max_unavailable(const model::NodeConfig& node_config) {
  const auto& value = node_config.max_unavailable;
  if (value.is_string()) return value == "0%" ? json(1) : json(value.get<std::string>());
  return std::max<std::int64_t>(1, value.get<std::int64_t>());
}

json cache_mount() { return {{"name", kCacheVolume}, {"mountPath", kCacheFolder}}; }

json probe(const char* path, int period, int failures) {
  return {{"httpGet", {{"path", path}, {"port", "admin"}, {"scheme", "HTTP"}}},
          {"periodSeconds", period},
          {"timeoutSeconds", 5},
          {"failureThreshold", failures}};
}

json ports(bool host_network) {
  const auto port = [&](const char* name, std::uint16_t number) {
    json result = {{"name", name}, {"containerPort", number}, {"protocol", "TCP"}};
    // In the host's network each port is one of the host.
    if (host_network) result["hostPort"] = number;
    return result;
  };
  json node = port("node", host_network ? kRuntimePort : kNodePort);
  node["hostPort"] = kRuntimePort;
  node["hostIP"] = "127.0.0.1";
  return {port("pods", host_network ? kHostPodsPort : kPodsPort), port("admin", kAdminPort), std::move(node)};
}

json container(const char* name, json arguments, const model::Agent& agent, const Installation& installation) {
  json result = {
      {"name", name},
      {"image", agent.image.empty() ? installation.image : agent.image},
      {"imagePullPolicy", installation.image_pull_policy},
      {"command", {kProgram}},
      {"args", std::move(arguments)},
      {"terminationMessagePolicy", "FallbackToLogsOnError"},
      {"securityContext", {{"allowPrivilegeEscalation", false}, {"readOnlyRootFilesystem", true}, {"capabilities", {{"drop", {"ALL"}}}}}}};
  if (!agent.resources.empty()) result["resources"] = canonical_resources(json::parse(agent.resources.dump()));
  return result;
}

// kubelet makes the folder of a hostPath for root; the agent is not root.
json preparing_container(const model::Agent& agent, const Installation& installation) {
  const auto owner = fmt::format("{0}:{0}", kAgentUser);
  json result = container("prepare", {"store", "prepare", "--path", kCacheFolder, "--owner", owner}, agent, installation);
  json& security = result["securityContext"];
  security["runAsNonRoot"] = false;
  security["runAsUser"] = 0;
  security["runAsGroup"] = 0;
  security["capabilities"]["add"] = {"CHOWN", "DAC_OVERRIDE", "FOWNER"};
  result["volumeMounts"] = json::array({cache_mount()});
  return result;
}

json agent_container(const model::Agent& agent, const Installation& installation) {
  json result = container("agent", {"serve", "--config", fmt::format("{}/{}", kConfigFolder, kAgentFileName)}, agent, installation);
  result["ports"] = ports(agent.host_network);
  // A store that has to be put in order first, after power was lost, may take minutes.
  result["startupProbe"] = probe("/healthz", 1, 600);
  result["livenessProbe"] = probe("/healthz", 10, 3);
  result["readinessProbe"] = probe("/readyz", 2, 3);
  result["volumeMounts"] = {{{"name", kConfigVolume}, {"mountPath", kConfigFolder}, {"readOnly", true}}, cache_mount()};
  return result;
}

json pod_spec(const plan::Group& group, const Installation& installation) {
  const model::Agent& agent = group.effective.settings.agent;
  json spec = {
      {"nodeSelector", {{kGroupLabel, group.name}}},
      {"serviceAccountName", installation.agent_service_account},
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      {"terminationGracePeriodSeconds", kGraceSeconds},
      {"securityContext",
       {{"runAsNonRoot", true},
        {"runAsUser", kAgentUser},
        {"runAsGroup", kAgentUser},
        {"fsGroup", kAgentUser},
        {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
      {"initContainers", json::array({preparing_container(agent, installation)})},
      {"containers", json::array({agent_container(agent, installation)})},
      {"volumes",
       {{{"name", kConfigVolume}, {"secret", {{"secretName", "cistern-" + group.name}, {"defaultMode", 0440}}}},
        {{"name", kCacheVolume}, {"hostPath", {{"path", host_folder(group)}, {"type", "DirectoryOrCreate"}}}}}},
  };
  if (!agent.tolerations.empty()) spec["tolerations"] = without_empty_members(json::parse(agent.tolerations.dump()));
  if (!agent.affinity.empty()) spec["affinity"] = without_empty_members(json::parse(agent.affinity.dump()));
  if (!agent.priority_class_name.empty()) spec["priorityClassName"] = agent.priority_class_name;
  if (agent.host_network) {
    spec["hostNetwork"] = true;
    spec["dnsPolicy"] = "ClusterFirstWithHostNet";
  }
  for (const auto& secret : installation.image_pull_secrets) spec["imagePullSecrets"].push_back({{"name", secret}});
  return spec;
}

}  // namespace

std::string host_folder(const plan::Group& group) {
  std::string folder = group.effective.settings.storage.host_path;
  while (folder.ends_with('/')) folder.pop_back();
  return folder + "/" + plan::short_name(group.policy);
}

nlohmann::json daemon_set(const plan::Group& group, const Owner& owner, const Installation& installation, const std::string& start_hash) {
  const auto labels = object_labels(group.policy, group.name);
  // It can not be changed later, and a group's name may go from one policy to another.
  Labels selector = labels;
  selector.erase(std::string(kPolicyOfObject));
  json object = make_object("apps/v1", "DaemonSet", "cistern-" + group.name, labels, owner, installation);
  object["spec"] = {
      {"selector", {{"matchLabels", selector}}},
      {"updateStrategy",
       {{"type", "RollingUpdate"}, {"rollingUpdate", {{"maxUnavailable", max_unavailable(group.effective.settings.node_config)}}}}},
      {"template",
       {{"metadata", {{"labels", labels}, {"annotations", {{kStartAnnotation, start_hash}}}}}, {"spec", pod_spec(group, installation)}}}};
  return object;
}

}  // namespace cistern::render
