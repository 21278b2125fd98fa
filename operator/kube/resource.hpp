// What the API server calls things, and which of them we use. Pure values.
#pragma once

#include <compare>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cistern::kube {

// Objects of the API as they are, keys sorted: equal objects are equal text.
using Json = nlohmann::json;

struct Resource {
  std::string_view group;  // empty: the core API
  std::string_view version;
  std::string_view plural;  // as in URLs
  std::string_view kind;
  bool namespaced = true;

  std::string api_version() const;  // "v1", "apps/v1"
  bool operator==(const Resource&) const = default;
};

inline constexpr Resource kMirrorPolicies{"cistern.dev", "v1alpha1", "mirrorpolicies", "MirrorPolicy", false};
inline constexpr Resource kNodes{"", "v1", "nodes", "Node", false};
inline constexpr Resource kNamespaces{"", "v1", "namespaces", "Namespace", false};
inline constexpr Resource kPods{"", "v1", "pods", "Pod"};
inline constexpr Resource kServices{"", "v1", "services", "Service"};
inline constexpr Resource kSecrets{"", "v1", "secrets", "Secret"};
inline constexpr Resource kConfigMaps{"", "v1", "configmaps", "ConfigMap"};
inline constexpr Resource kDaemonSets{"apps", "v1", "daemonsets", "DaemonSet"};
inline constexpr Resource kDeployments{"apps", "v1", "deployments", "Deployment"};
inline constexpr Resource kNetworkPolicies{"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"};
inline constexpr Resource kEndpointSlices{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"};
inline constexpr Resource kMutatingWebhooks{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
                                            "MutatingWebhookConfiguration", false};
inline constexpr Resource kLeases{"coordination.k8s.io", "v1", "leases", "Lease"};
inline constexpr Resource kEvents{"events.k8s.io", "v1", "events", "Event"};
inline constexpr Resource kCoreEvents{"", "v1", "events", "Event"};  // the same objects; only by this name are they selected by field

// Which object of a resource. The namespace is empty for what has none.
struct ObjectKey {
  std::string ns;
  std::string name;

  std::string to_string() const;  // "cistern-system/cistern-default", "default"
  auto operator<=>(const ObjectKey&) const = default;
};

// Of an object as the API server gives it.
ObjectKey key_of(const Json& object);
// metadata.FIELD as text; empty if it is not there.
std::string metadata(const Json& object, std::string_view field);
// metadata.labels[key] or metadata.annotations[key]; empty if it is not there.
std::string label(const Json& object, std::string_view key);
std::string annotation(const Json& object, std::string_view key);

}  // namespace cistern::kube
