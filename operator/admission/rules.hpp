// What admission decides by: a snapshot, made anew whenever the plan, a namespace or a Service's endpoints change. Pure.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "operator/plan/cluster.hpp"
#include "operator/plan/pods.hpp"

namespace cistern::admission {

using Json = nlohmann::json;
using Labels = std::map<std::string, std::string, std::less<>>;
using Variables = std::map<std::string, std::string, std::less<>>;

// The names that people and tools see.
inline constexpr std::string_view kInjectLabel = "cistern.dev/inject";                          // on pods and namespaces: "true" or "false"
inline constexpr std::string_view kProfileAnnotation = "cistern.dev/profile";                   // on pods
inline constexpr std::string_view kInjectedAnnotation = "cistern.dev/injected";                 // on pods, by us: the policy …
inline constexpr std::string_view kInjectedProfileAnnotation = "cistern.dev/injected-profile";  // … its profile, if it was one …
inline constexpr std::string_view kInjectedVariablesAnnotation = "cistern.dev/injected-variables";  // … "GONOPROXY,GOPROXY,GOSUMDB"
inline constexpr std::string_view kEnvironmentMap = "cistern-env";                                  // the ConfigMap in a namespace

// What pods of one profile are told.
struct Told {
  model::InjectionMode mode = model::InjectionMode::kOff;
  bool overwrite = false;
  Variables variables;                    // Go's, and injection.env's, which are put above them
  std::set<std::string, std::less<>> go;  // the names of Go's, which belong together
  std::string no_go;                      // why Go's are not among them; empty: they are
  bool operator==(const Told&) const = default;
};

struct PolicyRules {
  std::string policy;
  model::Choice profile;
  Told base;
  std::map<std::string, Told, std::less<>> profiles;

  // By what a pod, a namespace or the policy says, the first that says something. The name is empty where `base` applies; `unknown` is a
  // name that was asked for and that the policy does not define.
  struct Chosen {
    const Told* told = nullptr;
    std::string profile;
    std::string unknown;
  };
  Chosen choose(std::string_view pod_annotation, const Labels& namespace_labels) const;
  bool operator==(const PolicyRules&) const = default;
};

struct NamespaceRules {
  Labels labels;
  std::string policy;  // that owns it; empty: none
  bool operator==(const NamespaceRules&) const = default;
  // Whether it is labelled cistern.dev/inject=false: then nothing of ours is put into it, but for pods that say "true" themselves.
  bool opted_out() const;
};

// Immutable once made, hence shared by threads.
struct Rules {
  std::string own_namespace;
  std::map<std::string, PolicyRules, std::less<>> policies;
  std::set<std::string, std::less<>> ready;  // policies whose Service has a ready endpoint
  std::unordered_map<std::string, NamespaceRules> namespaces;
  bool operator==(const Rules&) const = default;
};

// `plan` is of the same policies and namespaces; `ready` as below.
Rules make_rules(const std::string& own_namespace, const std::vector<plan::PodRules>& policies,
                 const std::vector<plan::NamespaceFacts>& namespaces, const plan::ClusterPlan& plan,
                 std::set<std::string, std::less<>> ready);

// The policy whose Service an EndpointSlice of our namespace belongs to, if there is a ready endpoint in it; else empty. Other Services of
// ours (peers find each other by them) do not count.
std::string ready_policy(const Json& endpoint_slice);

// The ConfigMaps that pods of a namespace may refer to: name → data. `cistern-env` is for the namespace's own profile,
// `cistern-env-<profile>` for each other one, `cistern-env.none` for pods that ask for a profile which is not defined, where the namespace
// has one. Empty where nobody is injected, and in a namespace that has opted out. What the Service's endpoints are does not matter, so that
// they do not come and go with agents.
std::map<std::string, Variables> environment_maps(const Rules& rules, const std::string& ns);
// The name for pods of `profile` where the namespace has `namespace_profile`; each may be empty.
std::string environment_map_name(std::string_view profile, std::string_view namespace_profile);

}  // namespace cistern::admission
