#include "operator/reconcile/environment_maps.hpp"

#include <spdlog/spdlog.h>

#include "operator/model/parse.hpp"

namespace cistern::reconcile {
namespace {

// Somebody else's ConfigMap of that name is in no cache, so that its end is not told.
constexpr milliseconds kRefusedPause{60000};
constexpr milliseconds kNamespacePause{1000};

Json environment_map(const std::string& ns, const std::string& name, const std::string& policy, const std::string& uid,
                     const admission::Variables& variables) {
  return Json{
      {"apiVersion", "v1"},
      {"kind", "ConfigMap"},
      {"metadata",
       {{"name", name},
        {"namespace", ns},
        {"labels",
         {{"app.kubernetes.io/name", "cistern"},
          {"app.kubernetes.io/managed-by", "cistern"},
          {std::string(render::kPolicyOfObject), policy}}},
        {"ownerReferences", Json::array({{{"apiVersion", model::kApiVersion}, {"kind", model::kKind}, {"name", policy}, {"uid", uid}}})}}},
      {"data", variables}};
}

// The namespace goes, or has gone, and the cache does not know it yet.
bool is_going(const Error& error) {
  return error.code == ErrorCode::kNotFound ||
         (error.code == ErrorCode::kForbidden && error.message.find("being terminated") != std::string::npos);
}

// A policy of which nothing was ever accepted since the operator started says nothing about what there is.
bool may_still_want(const Desired& desired, const std::string& policy) {
  const auto* entry = desired.policy(policy);
  return entry != nullptr && !entry->deleting && !entry->accepted;
}

}  // namespace

bool is_environment_map(std::string_view name) {
  if (!name.starts_with(admission::kEnvironmentMap)) return false;
  name.remove_prefix(admission::kEnvironmentMap.size());
  return name.empty() || name.front() == '-' || name.front() == '.';
}

Result<Outcome> EnvironmentMapReconciler::reconcile(const std::string& ns) {
  const auto& cluster = parts_.cluster;
  const auto rules = state_.rules();
  const auto object = cluster.namespaces().get({"", ns});
  if (!rules || ns == cluster.ns()) return Outcome{};
  if (!object || !kube::metadata(*object, "deletionTimestamp").empty()) {
    note(ns, std::nullopt);
    return Outcome{};
  }
  const auto desired = state_.desired();
  const auto wanted = admission::environment_maps(*rules, ns);
  const auto planned = rules->namespaces.find(ns);
  const auto policy = planned == rules->namespaces.end() ? std::string() : planned->second.policy;
  const auto* entry = desired->policy(policy);
  auto removed = remove(ns, *desired, wanted);
  // Nothing is made for a policy without its finalizer, which leads back here.
  auto written = entry != nullptr && entry->guarded && !entry->deleting ? write(ns, policy, *entry, wanted) : Result<std::string>("");
  const auto* error = !written ? &written.error() : !removed ? &removed.error() : nullptr;
  if (error != nullptr && is_going(*error)) return Outcome{.again = kNamespacePause};
  if (error == nullptr) {
    note(ns, std::nullopt);
    add_word(*written, *removed);
    return Outcome{.changed = std::move(*written)};
  }
  if (!is_refusal(*error)) return fail(*error);
  note(ns, State::NamespaceError{policy, error->message});
  return Outcome{.again = kRefusedPause};
}

Result<std::string> EnvironmentMapReconciler::write(const std::string& ns, const std::string& policy, const PolicyEntry& entry,
                                                    const std::map<std::string, admission::Variables>& wanted) {
  std::string changed;
  std::optional<Error> first;  // one that is somebody else's does not keep the others
  for (const auto& [name, variables] : wanted) {
    const auto written = applier_.apply(kube::kConfigMaps, environment_map(ns, name, policy, entry.uid, variables),
                                        parts_.cluster.environment_maps().get({ns, name}));
    if (!written && !first) first = written.error();
    if (written && *written) add_word(changed, fmt::format("ConfigMap/{}", name));
  }
  if (first) return fail(*first);
  return changed;
}

Result<std::string> EnvironmentMapReconciler::remove(const std::string& ns, const Desired& desired,
                                                     const std::map<std::string, admission::Variables>& wanted) {
  std::string changed;
  std::optional<Error> first;
  for (const auto& object : parts_.cluster.environment_maps().in_namespace(ns)) {
    const auto name = kube::metadata(*object, "name");
    if (wanted.contains(name) || !is_environment_map(name) || may_still_want(desired, kube::label(*object, kByPolicy))) continue;
    const auto removed = applier_.remove(kube::kConfigMaps, object);
    if (!removed && !first) first = removed.error();
    if (removed && *removed) add_word(changed, fmt::format("-ConfigMap/{}", name));
  }
  if (first) return fail(*first);
  return changed;
}

void EnvironmentMapReconciler::note(const std::string& ns, const std::optional<State::NamespaceError>& error) {
  if (!state_.set_namespace_error(ns, error)) return;
  if (error) {
    spdlog::warn("environment maps refused: namespace={} policy={} reason=\"{}\"", ns, error->policy, error->message);
    changed_(error->policy);
    return;
  }
  for (const auto& [name, entry] : state_.desired()->policies) changed_(name);
}

}  // namespace cistern::reconcile
