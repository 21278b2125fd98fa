#include "operator/reconcile/cluster.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "operator/reconcile/trim.hpp"

namespace cistern::reconcile {
namespace {

// Releases of Helm are large and many.
constexpr const char* kWithoutHelm = "type!=helm.sh/release.v1";
constexpr const char* kRefusals = "involvedObject.kind=DaemonSet,reason=FailedCreate";

kube::ReflectorOptions everything() { return {}; }

kube::ReflectorOptions in_namespace(const std::string& ns, std::string labels, std::string fields = {}) {
  kube::ReflectorOptions options;
  options.selection.ns = ns;
  options.selection.label_selector = std::move(labels);
  options.selection.field_selector = std::move(fields);
  return options;
}

ChangeHandler of(const kube::Resource& resource, const ClusterHandler& handler) {
  return [&resource, handler](const Object& before, const Object& after) {
    if (handler) handler(resource, before, after);
  };
}

}  // namespace

Cluster::Cluster(kube::Client& client, const Clock& clock, std::string ns, const ClusterHandler& handler)
    : ns_(std::move(ns)),
      heartbeats_(clock),
      policies_(client, kube::kMirrorPolicies, everything(), clock, trim_object, {}, of(kube::kMirrorPolicies, handler)),
      nodes_(client, kube::kNodes, everything(), clock, trim_node, {kNodesByGroup}, of(kube::kNodes, handler)),
      namespaces_(client, kube::kNamespaces, everything(), clock, trim_namespace, {}, of(kube::kNamespaces, handler)),
      secrets_(client, kube::kSecrets, in_namespace(ns_, "", kWithoutHelm), clock, trim_object, {kByPolicy, kByGroup},
               of(kube::kSecrets, handler)),
      config_maps_(client, kube::kConfigMaps, in_namespace(ns_, ""), clock, trim_object, {kByPolicy, kByGroup},
                   of(kube::kConfigMaps, handler)),
      daemon_sets_(client, kube::kDaemonSets, in_namespace(ns_, kByPolicy), clock, trim_object, {kByPolicy, kByGroup},
                   of(kube::kDaemonSets, handler)),
      services_(client, kube::kServices, in_namespace(ns_, kByPolicy), clock, trim_object, {kByPolicy, kByGroup},
                of(kube::kServices, handler)),
      network_policies_(client, kube::kNetworkPolicies, in_namespace(ns_, kByPolicy), clock, trim_object, {kByPolicy, kByGroup},
                        of(kube::kNetworkPolicies, handler)),
      pods_(client, kube::kPods, in_namespace(ns_, ""), clock, trim_pod, {kByPolicy, kByGroup}, of(kube::kPods, handler)),
      node_leases_(
          client, kube::kLeases, in_namespace(ns_, kNodeLeases), clock,
          [this](Json& lease) {
            heartbeats_.take(lease);
            trim_lease(lease);
          },
          {},
          [this, handler](const Object& before, const Object& after) {
            if (!after) heartbeats_.forget(node_lease(*before).node);
            if (handler) handler(kube::kLeases, before, after);
          }),
      system_pods_(client, kube::kPods, in_namespace(kSystemNamespace, ""), clock, trim_system_pod, {}, of(kube::kPods, handler)),
      endpoint_slices_(client, kube::kEndpointSlices, in_namespace(ns_, kByPolicy), clock, trim_object, {kByPolicy},
                       of(kube::kEndpointSlices, handler)),
      webhooks_(client, kube::kMutatingWebhooks, in_namespace("", "", std::string("metadata.name=") + kWebhookName), clock, trim_object, {},
                of(kube::kMutatingWebhooks, handler)),
      environment_maps_(client, kube::kConfigMaps, in_namespace("", kByPolicy, "metadata.namespace!=" + ns_), clock, trim_object,
                        {kByPolicy}, of(kube::kConfigMaps, handler)),
      refusals_(client, kube::kCoreEvents, in_namespace(ns_, "", kRefusals), clock, trim_event, {}, of(kube::kCoreEvents, handler)) {}

std::vector<Informer*> Cluster::informers() {
  return {&policies_, &nodes_,       &namespaces_,  &secrets_,         &config_maps_, &daemon_sets_,      &services_, &network_policies_,
          &pods_,     &node_leases_, &system_pods_, &endpoint_slices_, &webhooks_,    &environment_maps_, &refusals_};
}

std::vector<const Informer*> Cluster::informers() const {
  return {&policies_, &nodes_,       &namespaces_,  &secrets_,         &config_maps_, &daemon_sets_,      &services_, &network_policies_,
          &pods_,     &node_leases_, &system_pods_, &endpoint_slices_, &webhooks_,    &environment_maps_, &refusals_};
}

void Cluster::start() {
  for (auto* informer : informers()) informer->start();
}

void Cluster::request_stop() {
  for (auto* informer : informers()) informer->request_stop();
}

void Cluster::stop() {
  request_stop();
  for (auto* informer : informers()) informer->stop();
}

// Without the right to read these (a chart of before they were read) all goes on but for what the status tells of nodes, and for injection.
std::vector<const Informer*> Cluster::optional() const {
  return {&refusals_, &node_leases_, &system_pods_, &endpoint_slices_, &webhooks_, &environment_maps_};
}

std::vector<const Informer*> Cluster::needed() const {
  auto all = informers();
  for (const auto* informer : optional()) std::erase(all, informer);
  return all;
}

bool Cluster::has_synced() const {
  const auto refused = [](const auto* informer) {
    const auto error = informer->cache().disconnected();
    return error && error->code == ErrorCode::kForbidden;
  };
  return std::ranges::all_of(needed(), [](const auto* informer) { return informer->cache().has_synced(); }) &&
         std::ranges::all_of(optional(), [&](const auto* informer) { return informer->cache().has_synced() || refused(informer); });
}

std::string Cluster::injection_trouble() const {
  for (const auto* informer : {&endpoint_slices_, &webhooks_, &environment_maps_}) {
    const auto error = informer->cache().disconnected();
    if (error && error->code == ErrorCode::kForbidden) return fmt::format("{}: {}", informer->resource().plural, error->message);
  }
  return {};
}

std::vector<std::string> Cluster::troubles() const {
  std::vector<std::string> lines;
  for (const auto* informer : needed()) {
    const auto error = informer->cache().disconnected();
    if (error) {
      lines.push_back(fmt::format("{}: {}", informer->resource().plural, error->message));
    } else if (!informer->cache().has_synced()) {
      lines.push_back(fmt::format("{}: not listed yet", informer->resource().plural));
    }
  }
  return lines;
}

std::vector<Cluster::Owned> Cluster::owned() const {
  return {{kube::kDaemonSets, daemon_sets()},
          {kube::kServices, services()},
          {kube::kSecrets, secrets()},
          {kube::kNetworkPolicies, network_policies()},
          {kube::kConfigMaps, config_maps()}};
}

}  // namespace cistern::reconcile
