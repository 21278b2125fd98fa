// How each part of a MirrorPolicy is written: names and bounds.
#pragma once

#include <array>
#include <utility>

#include "config/describe.hpp"
#include "operator/model/policy.hpp"

namespace cistern::model {

constexpr auto enum_names(OnDelete) { return std::array{std::pair{OnDelete::kDelete, "Delete"}, std::pair{OnDelete::kKeep, "Keep"}}; }
constexpr auto enum_names(InjectionMode) {
  return std::array{std::pair{InjectionMode::kOptOut, "OptOut"}, std::pair{InjectionMode::kOptIn, "OptIn"},
                    std::pair{InjectionMode::kOff, "Off"}};
}
constexpr auto enum_names(NodeConfigMode) {
  return std::array{std::pair{NodeConfigMode::kApply, "Apply"}, std::pair{NodeConfigMode::kReport, "Report"},
                    std::pair{NodeConfigMode::kOff, "Off"}};
}
constexpr auto enum_names(Runtime) { return std::array{std::pair{Runtime::kContainerd, "containerd"}, std::pair{Runtime::kCrio, "crio"}}; }
constexpr auto enum_names(PeersMode) { return std::array{std::pair{PeersMode::kAuto, "Auto"}, std::pair{PeersMode::kOff, "Off"}}; }

inline constexpr std::size_t kLongestPolicyName = 63;

// Checks of single values that only a policy has; see config/checks.hpp for the others.
Result<void> check_object_name(const std::string& name);  // a DNS subdomain, as Kubernetes names objects
Result<void> check_policy_name(const std::string& name);  // one that is a label's value too
Result<void> check_timestamp(const std::string& text);
Result<void> check_label_key(const std::string& key);
Result<void> check_label_value(const std::string& value);
Result<void> check_selector_operator(const std::string& op);
Result<void> check_absolute_path(const std::string& path);
Result<void> check_max_unavailable(const Json& value);
Result<void> check_object(const Json& value);
Result<void> check_list(const Json& value);

template <class V>
void describe(V& v, Reference& reference) {
  v.required("name", reference.name, check_object_name);
}

template <class V>
void describe(V& v, GoUpstream& upstream) {
  v.field("name", upstream.name, config::check_name);
  v.required("url", upstream.url, config::check_url);
  v.field("fallback", upstream.fallback);
  v.field("match", upstream.match, config::check_pattern);
  v.field("credentialsRef", upstream.credentials_ref);
  v.field("caRef", upstream.ca_ref);
  v.field("weight", upstream.weight, config::Between{1, 1000});
  v.field("rollout", upstream.rollout);
}

template <class V>
void describe(V& v, Go& go) {
  v.field("upstreams", go.upstreams);
  v.field("private", go.private_patterns, config::check_pattern);
  v.field("deny", go.deny, config::check_pattern);
  v.field("sumDB", go.sumdb);
  v.field("allowDirect", go.allow_direct);
  v.field("freshness", go.freshness);
}

template <class V>
void describe(V& v, ImageUpstream& upstream) {
  v.field("name", upstream.name, config::check_name);
  v.required("url", upstream.url, config::check_url);
  v.field("rewrite", upstream.rewrite);
  v.field("credentialsRef", upstream.credentials_ref);
  v.field("caRef", upstream.ca_ref);
  v.field("insecureSkipVerify", upstream.insecure_skip_verify);
  v.field("authHosts", upstream.auth_hosts, config::check_host);
  v.field("weight", upstream.weight, config::Between{1, 1000});
  v.field("rollout", upstream.rollout);
}

template <class V>
void describe(V& v, Registry& registry) {
  v.required("name", registry.name, config::check_registry);
  v.field("upstreams", registry.upstreams);
  v.field("tagTTL", registry.tag_ttl, config::check_age);
  v.field("immutableTags", registry.immutable_tags, config::check_regex);
  v.field("staleIfError", registry.stale_if_error, config::check_age);
  v.field("fallbackToSource", registry.fallback_to_source);
}

template <class V>
void describe(V& v, Storage& storage) {
  v.field("size", storage.size, config::check_size);
  v.field("minFree", yaml::Percent{storage.min_free_percent});
  v.field("hostPath", storage.host_path, check_absolute_path);
  v.field("onDelete", storage.on_delete);
}

template <class V>
void describe(V& v, Injection& injection) {
  v.field("mode", injection.mode);
  v.field("overwrite", injection.overwrite);
  v.field("env", injection.env);
}

template <class V>
void describe(V& v, NodeConfig& node_config) {
  v.field("mode", node_config.mode);
  v.field("runtimes", node_config.runtimes);
  v.field("maxUnavailable", node_config.max_unavailable, check_max_unavailable);
}

template <class V>
void describe(V& v, Prefetch& prefetch) {
  v.field("goModules", prefetch.go_modules);
  v.field("images", prefetch.images);
}

template <class V>
void describe(V& v, Peers& peers) {
  v.field("mode", peers.mode);
  v.field("replicas", peers.replicas, config::Between{1, 16});
}

template <class V>
void describe(V& v, Agent& agent) {
  v.field("resources", agent.resources, check_object);
  v.field("tolerations", agent.tolerations, check_list);
  v.field("affinity", agent.affinity, check_object);
  v.field("priorityClassName", agent.priority_class_name);
  v.field("image", agent.image);
  v.field("hostNetwork", agent.host_network);
}

template <class V>
void describe(V& v, Settings& settings) {
  v.field("go", settings.go);
  v.group("images", [&](auto& images) { images.field("registries", settings.registries); });
  v.field("selection", settings.selection);
  v.field("timeouts", settings.timeouts);
  v.field("retries", settings.retries, config::Between{0, 10});
  v.field("breaker", settings.breaker);
  v.field("rateLimit", settings.rate_limit);
  v.field("storage", settings.storage);
  v.field("injection", settings.injection);
  v.field("nodeConfig", settings.node_config);
  v.field("prefetch", settings.prefetch);
  v.field("peers", settings.peers);
  v.field("agent", settings.agent);
}

template <class V>
void describe(V& v, SelectorRequirement& requirement) {
  v.required("key", requirement.key, check_label_key);
  v.required("operator", requirement.op, check_selector_operator);
  v.field("values", requirement.values, check_label_value);
}

template <class V>
void describe(V& v, LabelSelector& selector) {
  v.field("matchLabels", selector.match_labels);
  v.field("matchExpressions", selector.match_expressions);
}

template <class V>
void describe(V& v, Choice& choice) {
  v.field("labelKey", choice.label_key, check_label_key);
  v.field("default", choice.fallback, check_label_value);
}

template <class V>
void describe(V& v, Spec& spec) {
  v.field("priority", spec.priority);
  v.field("nodeSelector", spec.node_selector);
  v.field("namespaceSelector", spec.namespace_selector);
  describe(v, spec.settings);
  v.field("region", spec.region);
  v.field("profile", spec.profile);
  v.field("regions", spec.regions);
  v.field("profiles", spec.profiles);
}

template <class V>
void describe(V& v, Metadata& metadata) {
  v.required("name", metadata.name, check_policy_name);
  v.field("labels", metadata.labels);
  v.field("annotations", metadata.annotations);
  v.field("creationTimestamp", metadata.creation_timestamp, check_timestamp);
  v.field("generation", metadata.generation);
  if constexpr (requires { v.skip(""); }) {
    // What the API server adds.
    for (const auto* name : {"uid", "resourceVersion", "managedFields", "finalizers", "ownerReferences", "selfLink", "deletionTimestamp",
                             "deletionGracePeriodSeconds"}) {
      v.skip(name);
    }
  }
}

}  // namespace cistern::model
