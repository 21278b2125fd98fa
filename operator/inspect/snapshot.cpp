#include "operator/inspect/snapshot.hpp"

#include <algorithm>
#include <functional>

#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/cluster.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::inspect {
namespace {

constexpr std::size_t kFirstAsked = 3;
constexpr std::chrono::milliseconds kPatience{1500};
constexpr const char* kDnsPods = "k8s-app=kube-dns";  // kubeadm's label, which CoreDNS has kept
constexpr const char* kWithoutHelm = "type!=helm.sh/release.v1";
using Trim = std::function<void(Json&)>;

void drop_managed_fields(Json& object) {
  if (object.contains("metadata")) object["metadata"].erase("managedFields");
}

// Certificates are no secret; of the rest the names of the keys say whether a reference can be followed.
void trim_secret(Json& secret) {
  drop_managed_fields(secret);
  const bool webhook = kube::metadata(secret, "name") == kWebhookSecret;
  if (!secret.contains("data") || !secret["data"].is_object()) return;
  for (auto& [key, value] : secret["data"].items()) {
    if (!webhook || !key.ends_with(".crt")) value = "";
  }
  if (secret.contains("metadata")) secret["metadata"].erase("annotations");  // kubectl keeps whole Secrets there
}

void trim_any_pod(Json& pod) {
  Json ports = Json::array();
  for (const char* list : {"initContainers", "containers"}) {
    for (const auto& container : at(pod, {"spec", list})) {
      for (const auto& port : at(container, {"ports"})) {
        if (port.contains("hostPort")) ports.push_back({{"hostPort", port["hostPort"]}, {"hostIP", text(port, {"hostIP"})}});
      }
    }
  }
  Json labels = at(pod, {"metadata", "labels"});
  pod = Json{{"metadata", {{"name", kube::metadata(pod, "name")}, {"namespace", kube::metadata(pod, "namespace")}, {"labels", labels}}},
             {"spec",
              {{"nodeName", text(pod, {"spec", "nodeName"})},
               {"hostNetwork", at(pod, {"spec", "hostNetwork"}) == true},
               {"dnsPolicy", text(pod, {"spec", "dnsPolicy"})},
               {"containers", Json::array({{{"ports", std::move(ports)}}})}}},
             {"status", {{"phase", text(pod, {"status", "phase"})}}}};
}

class Reader {
 public:
  explicit Reader(kube::Client& client) : client_(client) {}

  void read(Listed& into, const kube::Resource& resource, std::string ns, std::string labels = {}, std::string fields = {},
            Trim trim = drop_managed_fields) {
    into.asked = true;
    kube::Selection selection{std::move(ns), std::move(labels), std::move(fields), std::move(trim)};
    auto list = client_.list(resource, selection);
    if (!list) {
      into.error = list.error();
      return;
    }
    ++answered_;
    for (auto& item : (*list)["items"]) into.items.push_back(std::move(item));
  }

  bool nothing_answered() const { return answered_ == 0; }

 private:
  kube::Client& client_;
  unsigned answered_ = 0;
};

void read_for_doctor(Reader& reader, Snapshot& snapshot) {
  reader.read(snapshot.custom_resources, kCustomResources, "", "", std::string("metadata.name=") + kCustomResource);
  reader.read(snapshot.secrets, kube::kSecrets, snapshot.ns, "", kWithoutHelm, trim_secret);
  reader.read(snapshot.all_pods, kube::kPods, "", "", "", trim_any_pod);
  reader.read(snapshot.dns_pods, kube::kPods, "kube-system", kDnsPods);
}

}  // namespace

const Json* Listed::find(std::string_view name, std::string_view ns) const {
  const auto found = std::ranges::find_if(items, [&](const Json& item) {
    return kube::metadata(item, "name") == name && (ns.empty() || kube::metadata(item, "namespace") == ns);
  });
  return found == items.end() ? nullptr : &*found;
}

std::vector<const Listed*> Snapshot::lists() const {
  return {&policies, &nodes, &namespaces,  &webhooks,    &environment_maps, &custom_resources, &all_pods, &config_maps,
          &secrets,  &pods,  &daemon_sets, &deployments, &services,         &endpoint_slices,  &leases,   &dns_pods};
}

std::vector<std::string> Snapshot::unread() const {
  std::vector<std::string> lines;
  for (const auto* list : lists()) {
    if (list->error) lines.push_back(fmt::format("{}: {}", list->what, list->error->message));
  }
  return lines;
}

Result<Snapshot> take_snapshot(kube::Client& client, const Clock& clock, const std::string& ns, Scope scope) {
  Snapshot snapshot;
  snapshot.ns = ns;
  const auto version = client.server_version();
  if (version) {
    snapshot.version = *version;
  } else {
    // Nobody there is no finding but the end; who may not even ask for the version may still read the rest.
    if (version.error().code != ErrorCode::kForbidden) return fail(version.error());
    snapshot.version_error = version.error().message;
  }
  Reader reader(client);
  reader.read(snapshot.policies, kube::kMirrorPolicies, "");
  reader.read(snapshot.nodes, kube::kNodes, "");
  reader.read(snapshot.namespaces, kube::kNamespaces, "");
  reader.read(snapshot.webhooks, kube::kMutatingWebhooks, "", "", std::string("metadata.name=") + reconcile::kWebhookName);
  reader.read(snapshot.environment_maps, kube::kConfigMaps, "", reconcile::kByPolicy);
  reader.read(snapshot.config_maps, kube::kConfigMaps, ns);
  reader.read(snapshot.pods, kube::kPods, ns);
  reader.read(snapshot.daemon_sets, kube::kDaemonSets, ns);
  reader.read(snapshot.deployments, kube::kDeployments, ns);
  reader.read(snapshot.services, kube::kServices, ns);
  reader.read(snapshot.endpoint_slices, kube::kEndpointSlices, ns);
  reader.read(snapshot.leases, kube::kLeases, ns);
  if (scope == Scope::kDoctor) read_for_doctor(reader, snapshot);
  snapshot.now = clock.wall();
  if (reader.nothing_answered()) return fail(snapshot.nodes.error->in("nothing of the cluster could be read"));
  return snapshot;
}

void ask_agents(Snapshot& snapshot, reconcile::AgentProbe& probe, const std::vector<const Json*>& pods) {
  std::vector<const Json*> open;
  for (const auto* pod : pods) {
    if (reconcile::can_be_asked(*pod)) open.push_back(pod);
  }
  const auto ask = [&](std::size_t from, std::size_t to) {
    std::vector<std::string> addresses;
    for (std::size_t i = from; i < to; ++i) addresses.push_back(text(*open[i], {"status", "podIP"}));
    auto answers = probe.ask(addresses, render::kAdminPort, kPatience);
    bool any = false;
    for (std::size_t i = from; i < to; ++i) {
      any = any || answers[i - from].has_value();
      snapshot.answers.insert_or_assign(kube::metadata(*open[i], "uid"), std::move(answers[i - from]));
    }
    return any;
  };
  const auto first = std::min(kFirstAsked, open.size());
  if (first > 0 && ask(0, first) && first < open.size()) ask(first, open.size());
}

}  // namespace cistern::inspect
