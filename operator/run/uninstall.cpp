#include "operator/run/uninstall.hpp"

#include <algorithm>
#include <cstdio>

#include "base/version.hpp"
#include "operator/kube/configuration.hpp"
#include "operator/reconcile/apply.hpp"
#include "operator/reconcile/cluster.hpp"
#include "operator/reconcile/desired.hpp"
#include "operator/reconcile/environment_maps.hpp"
#include "operator/run/uninstall_steps.hpp"

namespace cistern::run {
namespace {

using kube::Json;

// Of all the time that there is.
constexpr double kForOperator = 0.25;
constexpr double kForAgents = 0.65;

class Uninstall {
 public:
  Uninstall(kube::Client& client, const Clock& clock, const UninstallSettings& settings, const std::function<void(const std::string&)>& say)
      : client_(client), settings_(settings), steps_(client, clock, settings, say) {}

  Result<void> run() {
    if (auto checked = check_release(); !checked) return checked;
    remove_webhook();
    stop_operator();
    restore_nodes(steps_);
    for (const auto* resource : {&kube::kDaemonSets, &kube::kServices, &kube::kSecrets, &kube::kNetworkPolicies, &kube::kConfigMaps}) {
      remove_ours(*resource, settings_.ns);
    }
    remove_ours(kube::kConfigMaps, "");  // what pods of injected namespaces read
    wait_for_agents();
    remove_node_programs(steps_);
    forget_nodes(steps_);
    free_policies();
    restore_pod_security();
    remove_lease();
    if (steps_.failures().empty()) return {};
    std::string text = "not everything could be removed; run `helm uninstall` again, or remove by hand:";
    for (const auto& failure : steps_.failures()) text += "\n  " + failure;
    return fail(ErrorCode::kUnavailable, "{}", text);
  }

 private:
  Result<void> check_release() {
    if (settings_.helm_release.empty()) return {};
    const auto deployment = client_.get(kube::kDeployments, {settings_.ns, settings_.deployment});
    if (!deployment && deployment.error().code == ErrorCode::kNotFound) return {};
    if (!deployment) return fail(deployment.error());
    if (kube::annotation(*deployment, "meta.helm.sh/release-name") == settings_.helm_release) return {};
    return fail(ErrorCode::kInvalid,
                "the Deployment {} is not of Helm's release {}, so nothing is removed. This Job is a hook of `helm uninstall`; whoever "
                "applies the chart's output himself is to make it by `helm template --no-hooks`. To remove Cistern nevertheless: "
                "cistern-operator uninstall --namespace {}",
                settings_.deployment, settings_.helm_release, settings_.ns);
  }

  void stop_operator() {
    const auto what = fmt::format("Deployment {}", settings_.deployment);
    if (!steps_.write(what, [&] {
          return client_.merge_patch(kube::kDeployments, {settings_.ns, settings_.deployment}, Json{{"spec", {{"replicas", 0}}}}, {});
        })) {
      return;
    }
    steps_.say(fmt::format("{}: scaled to 0", what));
    for (const auto& pod : steps_.wait_until_gone(kForOperator, "the operator", [&] { return steps_.pods(settings_.operator_selector); })) {
      steps_.say(fmt::format("the operator's pod {} has not ended; going on", pod));
    }
  }

  // Nothing asks it any more, and every pod that is made would wait for it.
  void remove_webhook() {
    const kube::ObjectKey key{"", reconcile::kWebhookName};
    if (steps_.write("MutatingWebhookConfiguration " + key.name, [&] { return client_.remove(kube::kMutatingWebhooks, key); })) {
      steps_.say("webhook: gone");
    }
  }

  void remove_ours(const kube::Resource& resource, const std::string& ns) {
    std::size_t count = 0;
    const auto selector = std::string(render::kPolicyOfObject);
    for (const auto& object : steps_.list(resource, {ns, selector, ""}, "list what is ours")) {
      const auto key = kube::key_of(object);
      if (!reconcile::is_ours(object) || (key.ns != steps_.settings().ns && !reconcile::is_environment_map(key.name))) continue;
      if (steps_.write(fmt::format("{} {}", resource.kind, key.to_string()), [&] { return client_.remove(resource, key); })) ++count;
    }
    steps_.say(fmt::format("{}{}: {} deleted", resource.plural, ns.empty() ? " of other namespaces" : "", count));
  }

  void wait_for_agents() {
    const auto left = steps_.wait_until_gone(kForAgents, "agents", [&] { return steps_.pods(std::string(render::kGroupOfObject)); });
    if (left.empty()) steps_.say("agents: all ended");
    for (const auto& pod : left) {
      steps_.say(fmt::format("agent {} has not ended; it goes when its node answers, or with its Node object", pod));
    }
  }

  // Also the status, which would tell of agents that are gone.
  void free_policies() {
    std::size_t count = 0;
    for (const auto& policy : steps_.list(kube::kMirrorPolicies, {}, "list policies")) {
      const auto key = kube::key_of(policy);
      if (steps_.write(fmt::format("finalizer {} of MirrorPolicy {}", reconcile::kFinalizer, key.name), [&] { return free_policy(key); }))
        ++count;
    }
    steps_.say(fmt::format("policies: {} kept, free to be deleted", count));
  }

  Result<void> free_policy(const kube::ObjectKey& key) {
    const auto policy = client_.get(kube::kMirrorPolicies, key);
    if (!policy) return fail(policy.error());
    if (policy->contains("status")) {
      // What can not be done here is no reason to keep the finalizer.
      const auto cleared = client_.merge_patch(kube::kMirrorPolicies, key, Json{{"status", nullptr}}, "status");
      if (!cleared) steps_.say(fmt::format("the status of policy {} stays: {}", key.name, cleared.error().message));
    }
    const auto& metadata = policy->at("metadata");
    Json finalizers = metadata.value("finalizers", Json::array());
    const auto ours = std::ranges::find(finalizers, Json(reconcile::kFinalizer));
    if (ours == finalizers.end()) return {};
    finalizers.erase(static_cast<std::size_t>(ours - finalizers.begin()));
    const auto patched = client_.merge_patch(kube::kMirrorPolicies, key, Json{{"metadata", {{"finalizers", finalizers}}}}, {});
    return patched ? Result<void>() : fail(patched.error());
  }

  // As the operator has noted when it set its own; what somebody has set since stays.
  void restore_pod_security() {
    const kube::ObjectKey key{"", settings_.ns};
    const auto ns = client_.get(kube::kNamespaces, key);
    const auto annotations = ns ? ns->value(Json::json_pointer("/metadata/annotations"), Json::object()) : Json::object();
    const std::string noted(reconcile::kFormerPodSecurity);
    if (!annotations.is_object() || !annotations.contains(noted)) return;
    const std::string label(reconcile::kPodSecurity);
    Json metadata{{"annotations", {{noted, nullptr}}}};
    if (kube::label(*ns, label) == "privileged") {
      const auto former = kube::annotation(*ns, noted);
      metadata["labels"][label] = former.empty() ? Json() : Json(former);
    }
    if (steps_.write("Pod Security label of namespace " + settings_.ns, [&] {
          return client_.merge_patch(kube::kNamespaces, key, Json{{"metadata", metadata}}, {});
        })) {
      steps_.say("namespace: its Pod Security label is as it was");
    }
  }

  void remove_lease() {
    if (steps_.write("Lease " + settings_.lease, [&] { return client_.remove(kube::kLeases, {settings_.ns, settings_.lease}, {}); })) {
      steps_.say("lease: gone");
    }
  }

  kube::Client& client_;
  const UninstallSettings& settings_;
  UninstallSteps steps_;
};

}  // namespace

Result<void> uninstall(kube::Client& client, const Clock& clock, const UninstallSettings& settings,
                       const std::function<void(const std::string&)>& say) {
  return Uninstall(client, clock, settings, say).run();
}

Result<void> uninstall(const UninstallSettings& settings) {
  auto configuration = kube::find_configuration(settings.kubeconfig);
  if (!configuration) return fail(configuration.error());
  kube::ClientOptions options;
  options.user_agent = fmt::format("cistern-operator/{}", kVersion);
  options.timeout = std::min(options.timeout, std::chrono::seconds(10));  // one slow answer must not take all of the time that there is
  auto client = kube::make_client(std::move(*configuration), options);
  if (!client) return fail(client.error());
  const SystemClock clock;
  return uninstall(**client, clock, settings, [](const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  });
}

}  // namespace cistern::run
