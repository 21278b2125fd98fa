// The Kubernetes objects of a plan. Pure, and stable: the same input is the same JSON, in its canonical form (quantities, defaults), so
// that a live object can be compared with it.
//
// For each group: a Secret (the agent's file, credentials, CAs, the peers' key: they change together), a headless Service by which peers
// find each other, a DaemonSet. For each policy: the Service that pods use, and a NetworkPolicy.
//
// Ports of an agent's pod: 5050 pods listener, 5051 admin, 5052 node listener (hostPort 127.0.0.1:5050). With agent.hostNetwork the node
// listener is 127.0.0.1:5050 of the host and the pods listener 5053.
//
// The NetworkPolicy lets everybody ask the pods listener, only the operator the admin listener (it purges), and no pod the node listener:
// there private images are served without a question, which the node's runtime may have and pods may not. The runtime comes through, as a
// NetworkPolicy does not hold what comes from the pod's own node; nor do kubelet's probes need a rule. (Pods in the host's network are
// the host: no NetworkPolicy holds them, and with agent.hostNetwork none protects the admin listener; the node listener is on loopback.)
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "operator/plan/cluster.hpp"

namespace cistern::render {

inline constexpr std::string_view kGroupLabel =
    "cistern.dev.node-restriction.kubernetes.io/group";                    // on nodes, and on a group's objects as kGroup
inline constexpr std::string_view kPolicyOfObject = "cistern.dev/policy";  // label of every object that is a policy's
inline constexpr std::string_view kGroupOfObject = "cistern.dev/group";    // label of every object that is a group's
inline constexpr std::string_view kHashAnnotation =
    "cistern.dev/config-hash";  // on Secrets and pods: the hash that the agent shall answer with
// In the DaemonSet's pod template: a hash of what an agent reads only as it starts, so that a change of that, and of nothing else in the
// agent's file, replaces the pods.
inline constexpr std::string_view kStartAnnotation = "cistern.dev/start-hash";

inline constexpr std::uint16_t kPodsPort = 5050;
inline constexpr std::uint16_t kAdminPort = 5051;
inline constexpr std::uint16_t kNodePort = 5052;
inline constexpr std::uint16_t kHostPodsPort = 5053;  // the pods listener with agent.hostNetwork
inline constexpr std::uint16_t kRuntimePort = 5050;   // where the node's runtime finds the node listener, on loopback

// Where and as what the operator runs.
struct Installation {
  std::string ns = "cistern-system";
  std::string image;  // of agents, unless the policy names one
  std::string image_pull_policy = "IfNotPresent";
  std::vector<std::string> image_pull_secrets;
  std::string agent_service_account = "cistern-agent";
  std::string operator_selector =
      "app.kubernetes.io/name=cistern,app.kubernetes.io/component=operator";  // who may ask agents' admin listener
  std::vector<std::string> metrics_namespaces;                                // whose pods may too, to collect metrics
  std::string cluster_domain = "cluster.local";
  bool node_program = false;          // the DaemonSet cistern-node runs, so that nodes are told what to do
  bool configure_containerd = false;  // see node::Config
  unsigned kubernetes_minor = 30;     // what the API server knows: 1.N
};

// Contents of the Secrets and ConfigMaps in the operator's namespace that policies refer to.
struct References {
  std::map<std::string, std::map<std::string, std::string>> secrets;      // name → key → bytes
  std::map<std::string, std::map<std::string, std::string>> config_maps;  // name → key → text
};

// A credentialsRef or caRef that could not be followed; the upstream is asked without it.
struct MissingReference {
  std::string path;    // "spec.go.upstreams[0].credentialsRef", as the group's effective configuration has it
  std::string reason;  // "Secret corp does not exist in cistern-system; create it with the keys username and password, or token"
};

struct Owner {
  std::string name;  // the MirrorPolicy
  std::string uid;
};

struct GroupObjects {
  nlohmann::json secret;
  nlohmann::json service;
  nlohmann::json daemon_set;
  std::string config_hash;  // what agents answer with once this is in force
  std::vector<MissingReference> missing;
};

// kInvalid if what the policy makes is nothing that an agent would take, with the agent's words. The peers' key has at least 16 bytes.
Result<GroupObjects> group_objects(const plan::Group& group, const Owner& owner, const Installation& installation,
                                   const References& references, const std::string& peer_key);

struct PolicyObjects {
  nlohmann::json service;
  nlohmann::json network_policy;
};
PolicyObjects policy_objects(const std::string& policy, const Owner& owner, const Installation& installation);

// Names of the Secrets and ConfigMaps that a policy's settings refer to, overlays included; sorted. A caRef may be either, and is in both.
struct ReferencedNames {
  std::vector<std::string> secrets;
  std::vector<std::string> config_maps;
};
ReferencedNames referenced_names(const model::Policy& policy);

}  // namespace cistern::render
