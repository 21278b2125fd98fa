#include "operator/run/uninstall.hpp"

#include <algorithm>
#include <cstdio>
#include <thread>

#include "base/version.hpp"
#include "operator/kube/configuration.hpp"
#include "operator/reconcile/apply.hpp"
#include "operator/reconcile/desired.hpp"
#include "operator/reconcile/environment_maps.hpp"

namespace cistern::run {
namespace {

using kube::Json;
using std::chrono::milliseconds;

constexpr milliseconds kLook{500};
constexpr int kTries = 3;

class Uninstall {
 public:
  Uninstall(kube::Client& client, const Clock& clock, const UninstallSettings& settings, const std::function<void(const std::string&)>& say)
      : client_(client),
        clock_(clock),
        settings_(settings),
        say_(say),
        waits_until_(Deadline::after(clock, settings.timeout / 2)),
        ends_(Deadline::after(clock, settings.timeout)) {}

  Result<void> run() {
    if (auto checked = check_release(); !checked) return checked;
    stop_operator();
    for (const auto* resource : {&kube::kDaemonSets, &kube::kServices, &kube::kSecrets, &kube::kNetworkPolicies, &kube::kConfigMaps}) {
      remove_ours(*resource);
    }
    wait_for_agents();
    free_nodes();
    free_policies();
    restore_pod_security();
    remove_lease();
    if (failures_.empty()) return {};
    std::string text = "not everything could be removed; run `helm uninstall` again, or remove by hand:";
    for (const auto& failure : failures_) text += "\n  " + failure;
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

  std::vector<Json> list(const kube::Resource& resource, const kube::Selection& selection, const char* what) {
    auto listed = client_.list(resource, selection);
    if (listed) return listed->value("items", Json::array()).get<std::vector<Json>>();
    if (listed.error().code != ErrorCode::kNotFound) failures_.push_back(fmt::format("{}: {}", what, listed.error().message));
    return {};
  }

  // Again after a conflict or a passing trouble, while there is time.
  template <class Write>
  bool write(const std::string& what, const Write& attempt) {
    Error last;
    for (int i = 0; i < kTries && (i == 0 || !ends_.passed(clock_)); ++i) {
      const auto written = attempt();
      if (written || written.error().code == ErrorCode::kNotFound) return true;
      last = written.error();
      if (last.code == ErrorCode::kInvalid || last.code == ErrorCode::kForbidden) break;
      std::this_thread::sleep_for(kLook);
    }
    failures_.push_back(fmt::format("{}: {}", what, last.message));
    return false;
  }

  // Looks until `count` is none or the time for waiting is over; what is left then.
  template <class Look>
  std::vector<std::string> wait_until_gone(const Look& look) {
    auto left = look();
    while (!left.empty() && !waits_until_.passed(clock_)) {
      std::this_thread::sleep_for(kLook);
      left = look();
    }
    return left;
  }

  std::vector<std::string> pods(const std::string& selector) {
    const auto listed = client_.list(kube::kPods, {settings_.ns, selector, ""});
    if (!listed) return {fmt::format("(unknown: {})", listed.error().message)};
    std::vector<std::string> names;
    for (const auto& pod : listed->value("items", Json::array())) {
      const auto node = pod.value("spec", Json::object()).value("nodeName", "");
      names.push_back(fmt::format("{} on node {}", kube::metadata(pod, "name"), node.empty() ? "(none)" : node));
    }
    return names;
  }

  void stop_operator() {
    const auto what = fmt::format("Deployment {}", settings_.deployment);
    if (!write(what, [&] {
          return client_.merge_patch(kube::kDeployments, {settings_.ns, settings_.deployment}, Json{{"spec", {{"replicas", 0}}}}, {});
        })) {
      return;
    }
    say_(fmt::format("{}: scaled to 0", what));
    for (const auto& pod : wait_until_gone([&] { return pods(settings_.operator_selector); })) {
      say_(fmt::format("the operator's pod {} has not ended; going on", pod));
    }
  }

  void remove_ours(const kube::Resource& resource) {
    std::size_t count = 0;
    const auto selector = std::string(render::kPolicyOfObject);
    // Injected namespaces have ConfigMaps of ours.
    const bool everywhere = resource == kube::kConfigMaps;
    for (const auto& object : list(resource, {everywhere ? "" : settings_.ns, selector, ""}, "list what is ours")) {
      const auto key = kube::key_of(object);
      if (!reconcile::is_ours(object) || (key.ns != settings_.ns && !reconcile::is_environment_map(key.name))) continue;
      if (write(fmt::format("{} {}", resource.kind, key.to_string()), [&] { return client_.remove(resource, key); })) ++count;
    }
    say_(fmt::format("{}: {} deleted", resource.plural, count));
  }

  void wait_for_agents() {
    const auto left = wait_until_gone([&] { return pods(std::string(render::kGroupOfObject)); });
    if (left.empty()) say_("agents: all ended");
    for (const auto& pod : left) say_(fmt::format("agent {} has not ended; it goes when its node answers, or with its Node object", pod));
  }

  void free_nodes() {
    std::size_t count = 0;
    const std::string label(render::kGroupLabel);
    for (const auto& node : list(kube::kNodes, {"", label, ""}, "list nodes")) {
      const auto key = kube::key_of(node);
      if (write(fmt::format("label {} of node {}", label, key.name), [&] {
            return client_.merge_patch(kube::kNodes, key, Json{{"metadata", {{"labels", {{label, nullptr}}}}}}, {});
          })) {
        ++count;
      }
    }
    say_(fmt::format("nodes: {} labels removed", count));
  }

  // Also the status, which would tell of agents that are gone.
  void free_policies() {
    std::size_t count = 0;
    for (const auto& policy : list(kube::kMirrorPolicies, {}, "list policies")) {
      const auto key = kube::key_of(policy);
      if (write(fmt::format("finalizer {} of MirrorPolicy {}", reconcile::kFinalizer, key.name), [&] { return free_policy(key); })) ++count;
    }
    say_(fmt::format("policies: {} kept, free to be deleted", count));
  }

  Result<void> free_policy(const kube::ObjectKey& key) {
    const auto policy = client_.get(kube::kMirrorPolicies, key);
    if (!policy) return fail(policy.error());
    if (policy->contains("status")) {
      // What can not be done here is no reason to keep the finalizer.
      const auto cleared = client_.merge_patch(kube::kMirrorPolicies, key, Json{{"status", nullptr}}, "status");
      if (!cleared) say_(fmt::format("the status of policy {} stays: {}", key.name, cleared.error().message));
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
    if (write("Pod Security label of namespace " + settings_.ns, [&] {
          return client_.merge_patch(kube::kNamespaces, key, Json{{"metadata", metadata}}, {});
        })) {
      say_("namespace: its Pod Security label is as it was");
    }
  }

  void remove_lease() {
    if (write("Lease " + settings_.lease, [&] { return client_.remove(kube::kLeases, {settings_.ns, settings_.lease}, {}); })) {
      say_("lease: gone");
    }
  }

  kube::Client& client_;
  const Clock& clock_;
  const UninstallSettings& settings_;
  const std::function<void(const std::string&)>& say_;
  const Deadline waits_until_;
  const Deadline ends_;
  std::vector<std::string> failures_;
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
