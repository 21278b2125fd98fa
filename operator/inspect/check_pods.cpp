// What new pods go through: Services, webhook, its certificate, namespaces, DNS.
#include <algorithm>
#include <set>

#include "base/encoding.hpp"
#include "operator/inspect/causes.hpp"
#include "operator/inspect/certificates.hpp"
#include "operator/plan/names.hpp"
#include "operator/reconcile/cluster.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::inspect {
namespace {

using reconcile::counted;
using reconcile::few;

constexpr std::chrono::days kSoon{14};  // certificates of ours are replaced a month before their end

bool any_policy_injects(const World& world) {
  return std::ranges::any_of(world.policies(),
                             [](const auto* policy) { return policy->spec.settings.injection.mode != model::InjectionMode::kOff; });
}

// Of a pod that the webhook would have to be asked for, if any label has to be there: the namespace's says so, or the pod's own.
std::map<std::string, std::string> labels_of_willing_pod(const model::Policy& policy) {
  if (policy.spec.settings.injection.mode == model::InjectionMode::kOptIn) return {{std::string(admission::kInjectLabel), "true"}};
  return {};
}

void check_failure_policy(const Json& webhook, Lines& lines) {
  if (text(webhook, {"failurePolicy"}) == "Ignore") return;
  lines.push_back({Level::kWarning, "webhook", "its failurePolicy is not Ignore: no pod can be created while it does not answer",
                   "upgrade the chart, which sets Ignore"});
}

const Json* owned_namespace(const World& world, const std::string& ns, const model::Policy*& policy) {
  const auto owner = world.desired().plan.policy_of_namespace.find(ns);
  if (owner == world.desired().plan.policy_of_namespace.end()) return nullptr;
  const auto* entry = world.desired().policy(owner->second);
  policy = &entry->accepted->policy;
  return world.snapshot().namespaces.find(ns);
}

// Calls `look` with each namespace that a policy owns.
template <class Look>
void for_each_namespace(const World& world, const Look& look) {
  for (const auto& [ns, owner] : world.desired().plan.policy_of_namespace) {
    const model::Policy* policy = nullptr;
    const Json* object = owned_namespace(world, ns, policy);
    if (object != nullptr) look(*object, ns, *policy);
  }
}

bool asks_other_dns(const Json& pod) {
  const auto policy = text(pod, {"spec", "dnsPolicy"});
  if (at(pod, {"spec", "hostNetwork"}) == true) return policy != "ClusterFirstWithHostNet";
  return policy == "Default" || policy == "None";
}

std::string decoded(const Json& secret, const char* key) {
  const auto bytes = from_base64(text(secret, {"data", key}));
  return bytes ? *bytes : std::string();
}

}  // namespace

Lines check_services(const World& world) {
  Lines lines;
  const auto& snapshot = world.snapshot();
  if (!snapshot.services.known()) return lines;
  std::set<std::string> policies;
  for (const auto& group : world.desired().plan.groups) policies.insert(group.policy);
  for (const auto& policy : policies) {
    const auto name = "cistern-" + plan::short_name(policy);
    const Json* service = snapshot.services.find(name);
    const auto ready = world.ready_endpoints(name);
    if (service == nullptr) {
      lines.push_back({Level::kProblem, "service",
                       fmt::format("there is no Service {}, by which pods find the agents of policy {}", name, policy),
                       "see the operator's log"});
    } else if (const auto address = text(*service, {"spec", "clusterIP"}); address.empty() || address == "None") {
      lines.push_back({Level::kProblem, "service", fmt::format("Service {} has no address", name),
                       fmt::format("kubectl -n {} delete service {}; the operator makes it anew", world.ns(), name)});
    } else if (ready == std::size_t{0}) {
      lines.push_back({Level::kProblem, "service", fmt::format("Service {} has no ready endpoint: pods are not told of the cache", name),
                       fmt::format("kubectl -n {} get pods -l cistern.dev/policy={}", world.ns(), policy)});
    } else if (ready) {
      lines.push_back({Level::kOk, "service", fmt::format("{} has {}", name, counted(*ready, "ready endpoint")), ""});
    }
  }
  return lines;
}

Lines check_webhook(const World& world) {
  Lines lines;
  if (!world.snapshot().webhooks.known() || !any_policy_injects(world)) return lines;
  const Json* webhook = world.webhook();
  if (webhook != nullptr) check_failure_policy(*webhook, lines);
  for (const auto& cause : webhook_causes(world)) lines.push_back({cause.level, "webhook", cause.why, cause.todo});
  Grouped grouped("webhook", "namespace");
  for_each_namespace(world, [&](const Json& ns, const std::string& name, const model::Policy& policy) {
    if (kube::label(ns, admission::kInjectLabel) == "false" || policy.spec.settings.injection.mode == model::InjectionMode::kOff) return;
    const auto why = webhook == nullptr ? "" : why_webhook_is_not_asked(*webhook, labels_of(ns), labels_of_willing_pod(policy));
    if (why.empty()) return;
    grouped.add(Level::kProblem, name, fmt::format("policy {} selects it, and the webhook is not asked: {}", policy.metadata.name, why),
                "change the namespace's labels, or the webhook's selectors");
  });
  if (lines.empty() && grouped.empty())
    lines.push_back({Level::kOk, "webhook", "it is asked for pods of every namespace that policies select", ""});
  grouped.append_to(lines);
  return lines;
}

Lines check_certificate(const World& world) {
  constexpr const char* kCheck = "certificate";
  const auto& snapshot = world.snapshot();
  const Json* webhook = world.webhook();
  if (webhook == nullptr || text(*webhook, {"clientConfig", "caBundle"}).empty()) return {};
  if (!snapshot.secrets.known()) return {{Level::kUnknown, kCheck, fmt::format("Secret {} could not be read", kWebhookSecret), ""}};
  const Json* secret = snapshot.secrets.find(kWebhookSecret);
  if (secret == nullptr) {
    return {{Level::kProblem, kCheck, fmt::format("there is no Secret {}: the webhook has no certificate", kWebhookSecret),
             "see the operator's log: its leader makes it"}};
  }
  const auto bundle = from_base64(text(*webhook, {"clientConfig", "caBundle"}));
  auto service = text(*webhook, {"clientConfig", "service", "name"});
  if (service.empty()) service = kWebhookService;
  const auto name = fmt::format("{}.{}.svc", service, world.ns());  // as the API server asks for it
  const auto view = view_certificate(decoded(*secret, "tls.crt"), bundle ? *bundle : "", name, snapshot.now);
  if (!view.problem.empty()) {
    return {{Level::kProblem, kCheck, fmt::format("the API server does not trust the webhook's certificate: {}", view.problem),
             fmt::format("see the operator's log; kubectl -n {} delete secret {} makes it anew", world.ns(), kWebhookSecret)}};
  }
  const auto left = *view.not_after - snapshot.now;
  const auto message = fmt::format("trusted by the caBundle, valid for {}", age_in_words(left));
  if (left < kSoon) return {{Level::kWarning, kCheck, message + ", and not replaced yet", "see the operator's log"}};
  return {{Level::kOk, kCheck, message, ""}};
}

Lines check_namespaces(const World& world) {
  Lines lines;
  const auto& snapshot = world.snapshot();
  if (!snapshot.namespaces.known() || !snapshot.policies.known() || !any_policy_injects(world)) return lines;
  std::vector<std::string> out, unowned;
  Grouped grouped("namespaces", "namespace");
  for_each_namespace(world, [&](const Json& ns, const std::string& name, const model::Policy&) {
    if (kube::label(ns, admission::kInjectLabel) == "false") {
      out.push_back(name);
      return;
    }
    if (!snapshot.environment_maps.known()) return;
    for (const auto& [map, data] : admission::environment_maps(world.rules(), name)) {
      if (snapshot.environment_maps.find(map, name) != nullptr) continue;
      grouped.add(Level::kWarning, name, fmt::format("it has no ConfigMap {}: containers with envFrom are not told of the cache", map),
                  "see the operator's log");
    }
  });
  for (const auto& ns : snapshot.namespaces.items) {
    const auto name = kube::metadata(ns, "name");
    const bool never = plan::is_never_injected(name, world.ns());
    if (!never && world.selecting(labels_of(ns), &model::Spec::namespace_selector).empty()) unowned.push_back(name);
  }
  if (!unowned.empty()) {
    lines.push_back({Level::kWarning, "namespaces",
                     fmt::format("no policy selects {}: {}", counted(unowned.size(), "namespace"), few(unowned, 5)),
                     "widen a policy's spec.namespaceSelector, or leave it so"});
  }
  if (!out.empty())
    lines.push_back({Level::kOk, "namespaces", fmt::format("opted out by {}=false: {}", admission::kInjectLabel, few(out, 5)), ""});
  grouped.append_to(lines);
  return lines;
}

Lines check_dns(const World& world) {
  Lines lines;
  const auto& snapshot = world.snapshot();
  if (snapshot.dns_pods.known()) {
    const auto ready =
        std::ranges::count_if(snapshot.dns_pods.items, [](const Json& pod) { return text(condition(pod, "Ready"), {"status"}) == "True"; });
    if (ready > 0) {
      lines.push_back({Level::kOk, "dns", counted(ready, "pod") + " of the cluster's DNS ready", ""});
    } else {
      lines.push_back({snapshot.dns_pods.items.empty() ? Level::kWarning : Level::kProblem, "dns",
                       "no ready pod with the label k8s-app=kube-dns in kube-system: pods may not find the agents by name",
                       "install CoreDNS, or see that the cluster's DNS answers for Services"});
    }
  }
  if (!snapshot.all_pods.known()) return lines;
  std::vector<std::string> others;
  for (const auto& pod : snapshot.all_pods.items) {
    const auto phase = text(pod, {"status", "phase"});
    const auto ns = kube::metadata(pod, "namespace");
    if (phase == "Succeeded" || phase == "Failed" || !asks_other_dns(pod)) continue;
    if (!world.desired().plan.policy_of_namespace.contains(ns) || !kube::label(pod, admission::kInjectLabel).empty()) continue;
    others.push_back(ns + "/" + kube::metadata(pod, "name"));
  }
  if (!others.empty()) {
    lines.push_back(
        {Level::kWarning, "dns",
         fmt::format("{} not asking the cluster's DNS, and so not told of the cache: {}", counted(others.size(), "pod"), few(others, 5)),
         fmt::format("dnsPolicy: ClusterFirst (ClusterFirstWithHostNet in the host's network), or label them {}=true or false",
                     admission::kInjectLabel)});
  }
  return lines;
}

}  // namespace cistern::inspect
