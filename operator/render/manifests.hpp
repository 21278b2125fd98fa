// The Kubernetes objects of a plan. Pure, and stable: the same input is the same JSON, in its canonical form (quantities, defaults), so
// that a live object can be compared with it.
//
// For each group: a Secret (the agent's file, credentials, CAs, the peers' key: they change together), a headless Service by which peers
// find each other, a DaemonSet. For each policy: the Service that pods use, and a NetworkPolicy.
//
// Ports of an agent's pod: 5050 pods listener, 5051 admin, 5052 node listener (hostPort 127.0.0.1:5050). With agent.hostNetwork the node
// listener is 127.0.0.1:5050 of the host and the pods listener 5053.
#pragma once

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

// Where and as what the operator runs.
struct Installation {
  std::string ns = "cistern-system";
  std::string image;  // of agents, unless the policy names one
  std::string image_pull_policy = "IfNotPresent";
  std::vector<std::string> image_pull_secrets;
  std::string agent_service_account = "cistern-agent";
  std::string operator_selector =
      "app.kubernetes.io/name=cistern,app.kubernetes.io/component=operator";  // who may ask agents' admin listener
  std::string cluster_domain = "cluster.local";
  unsigned kubernetes_minor = 30;  // what the API server knows: 1.N
};

// Contents of the Secrets and ConfigMaps in the operator's namespace that policies refer to.
struct References {
  std::map<std::string, std::map<std::string, std::string>> secrets;      // name → key → bytes
  std::map<std::string, std::map<std::string, std::string>> config_maps;  // name → key → text
};

// A credentialsRef or caRef that could not be followed; the upstream is asked without it.
struct MissingReference {
  std::string path;    // "spec.go.upstreams[0].credentialsRef"
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

// kInvalid if what the policy makes is nothing that an agent would take, with the agent's words. `peer_key` is at least 16 bytes.
Result<GroupObjects> group_objects(const plan::Group& group, const Owner& owner, const Installation& installation,
                                   const References& references, const std::string& peer_key);

struct PolicyObjects {
  nlohmann::json service;
  nlohmann::json network_policy;
};
PolicyObjects policy_objects(const std::string& policy, const Owner& owner, const Installation& installation);

// Names of the Secrets and ConfigMaps that a policy's settings refer to, overlays included.
struct ReferencedNames {
  std::vector<std::string> secrets;
  std::vector<std::string> config_maps;
};
ReferencedNames referenced_names(const model::Policy& policy);

}  // namespace cistern::render
