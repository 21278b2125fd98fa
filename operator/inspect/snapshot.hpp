// What `explain` and `doctor` look at: lists of the API server's objects as they were at one moment, read with get and list only. A read
// that is refused or fails leaves its list empty, with the reason; all the rest goes on.
//
// Of Secrets only names and keys are kept, and the webhook's certificates, never a key or a password.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "operator/inspect/fields.hpp"
#include "operator/kube/client.hpp"
#include "operator/reconcile/agents.hpp"

namespace cistern::inspect {

inline constexpr kube::Resource kCustomResources{"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
                                                 false};
inline constexpr const char* kCustomResource = "mirrorpolicies.cistern.dev";

// What the chart calls its objects.
inline constexpr const char* kOperatorDeployment = "cistern-operator";
inline constexpr const char* kLeaderLease = "cistern-operator";
inline constexpr const char* kNodeDaemonSet = "cistern-node";
inline constexpr const char* kWebhookSecret = "cistern-webhook";
inline constexpr const char* kWebhookService = "cistern-webhook";

struct Listed {
  std::string what;  // "nodes", for messages
  std::vector<Json> items;
  std::optional<Error> error;  // why nothing is known of them
  bool asked = false;

  bool known() const { return asked && !error; }
  // The object of that name; null if there is none. `ns`: where several namespaces are listed.
  const Json* find(std::string_view name, std::string_view ns = {}) const;
};

struct Snapshot {
  std::string ns = "cistern-system";  // Cistern's own
  WallTime now{};
  std::optional<kube::Version> version;  // of the API server; empty: it did not say
  std::string version_error;

  // Of the whole cluster.
  Listed policies{"mirrorpolicies", {}, {}, false};
  Listed nodes{"nodes", {}, {}, false};
  Listed namespaces{"namespaces", {}, {}, false};
  Listed webhooks{"mutatingwebhookconfigurations", {}, {}, false};
  Listed environment_maps{"configmaps of all namespaces", {}, {}, false};  // those named cistern-env…
  Listed custom_resources{"customresourcedefinitions", {}, {}, false};     // ours
  Listed all_pods{"pods of all namespaces", {}, {}, false};                // what matters of them: host ports, DNS, labels
  // Of Cistern's own namespace.
  Listed config_maps{"configmaps", {}, {}, false};
  Listed secrets{"secrets", {}, {}, false};
  Listed pods{"pods", {}, {}, false};
  Listed daemon_sets{"daemonsets", {}, {}, false};
  Listed deployments{"deployments", {}, {}, false};
  Listed services{"services", {}, {}, false};
  Listed endpoint_slices{"endpointslices", {}, {}, false};
  Listed leases{"leases", {}, {}, false};
  // Of kube-system.
  Listed dns_pods{"pods of kube-system", {}, {}, false};

  // What agents said of themselves, by the pod's UID: those that were asked.
  std::map<std::string, Result<reconcile::AgentReport>> answers;

  std::vector<const Listed*> lists() const;
  // "secrets: forbidden …", one line for each list that could not be read.
  std::vector<std::string> unread() const;
};

// For `doctor` everything; for `explain` what the plan and the state of single objects need.
enum class Scope { kExplain, kDoctor };

// Blocks; an error only where the API server does not answer at all, or does not know who asks.
Result<Snapshot> take_snapshot(kube::Client& client, const Clock& clock, const std::string& ns, Scope scope);

// Asks these agents (pods of the snapshot), first a few: if none of them answers, pods can not be reached from here, and the others are not
// asked. Blocks for some seconds at most, times the number of agents by 64.
void ask_agents(Snapshot& snapshot, reconcile::AgentProbe& probe, const std::vector<const Json*>& pods);

}  // namespace cistern::inspect
