// Everything that the operator knows of the cluster: one informer for each resource. Of the operator's own namespace all Secrets (but
// Helm's) and ConfigMaps, since policies may refer to any, and all pods, since somebody may take an agent's labels away; of the rest what
// is ours.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "operator/reconcile/informer.hpp"
#include "operator/reconcile/node_lease.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::reconcile {

// The labels by which caches of our own objects are indexed.
inline const std::string kByPolicy(render::kPolicyOfObject);
inline const std::string kByGroup(render::kGroupOfObject);
inline const std::string kNodesByGroup(render::kGroupLabel);

// The MutatingWebhookConfiguration.
inline constexpr const char* kWebhookName = "cistern";
inline constexpr const char* kSystemNamespace = "kube-system";
// Of the Leases of node programs.
inline constexpr const char* kNodeLeases = "app.kubernetes.io/managed-by=cistern,app.kubernetes.io/component=node";

// Called on the reflectors' threads, several at once.
using ClusterHandler = std::function<void(const kube::Resource& resource, const Object& before, const Object& after)>;

class Cluster {
 public:
  // `client` and `clock` outlive it.
  Cluster(kube::Client& client, const Clock& clock, std::string ns, const ClusterHandler& handler);

  void start();
  void request_stop();
  // Returns when all threads have ended.
  void stop();
  // Whether everything that there was at the start is known; but for what the operator has no right to read and can do without.
  bool has_synced() const;
  // "mirrorpolicies: message of the last failure", of those that have not synced, or are not kept up to date now.
  std::vector<std::string> troubles() const;
  // Likewise of the first of those that injection needs and the operator may not read; empty: none.
  std::string injection_trouble() const;

  const std::string& ns() const { return ns_; }
  const ObjectCache& policies() const { return policies_.cache(); }
  const ObjectCache& nodes() const { return nodes_.cache(); }
  const ObjectCache& namespaces() const { return namespaces_.cache(); }
  const ObjectCache& secrets() const { return secrets_.cache(); }
  const ObjectCache& config_maps() const { return config_maps_.cache(); }
  const ObjectCache& daemon_sets() const { return daemon_sets_.cache(); }
  const ObjectCache& services() const { return services_.cache(); }
  const ObjectCache& network_policies() const { return network_policies_.cache(); }
  const ObjectCache& pods() const { return pods_.cache(); }
  // Of the node programs, one for each node; named by operator/node.
  const ObjectCache& node_leases() const { return node_leases_.cache(); }
  // When their programs were heard of last: renewals alone are no change of a Lease here.
  Heartbeats& heartbeats() const { return heartbeats_; }
  // Those of kube-system, trimmed to what they say of registries that must never be strict.
  const ObjectCache& system_pods() const { return system_pods_.cache(); }
  // Of the policies' Services.
  const ObjectCache& endpoint_slices() const { return endpoint_slices_.cache(); }
  // The one that the chart makes.
  const ObjectCache& webhooks() const { return webhooks_.cache(); }
  // The ConfigMaps that are a policy's, of all namespaces but our own.
  const ObjectCache& environment_maps() const { return environment_maps_.cache(); }
  // Events by which the DaemonSets' controller says that it could not make a pod.
  const ObjectCache& refusals() const { return refusals_.cache(); }

  // What the operator makes: where deletion looks for leftovers. In the order in which they are deleted.
  struct Owned {
    const kube::Resource& resource;
    const ObjectCache& cache;
  };
  std::vector<Owned> owned() const;

 private:
  std::vector<Informer*> informers();
  std::vector<const Informer*> informers() const;
  std::vector<const Informer*> optional() const;
  std::vector<const Informer*> needed() const;

  const std::string ns_;
  mutable Heartbeats heartbeats_;
  Informer policies_, nodes_, namespaces_, secrets_, config_maps_, daemon_sets_, services_, network_policies_, pods_, node_leases_,
      system_pods_, endpoint_slices_, webhooks_, environment_maps_, refusals_;
};

}  // namespace cistern::reconcile
