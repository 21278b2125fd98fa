// What the cluster should be like, made from the caches in memory: which spec of each policy is in force, the plan of all of them, and what
// has to be looked at again when it changes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/plan/cluster.hpp"
#include "operator/reconcile/informer.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::reconcile {

// Keeps a policy from going before what is its own has gone.
inline constexpr std::string_view kFinalizer = "cistern.dev/cleanup";

// Of the operator's own namespace: what agents need, and what the label was before the operator set it (empty: there was none).
inline constexpr std::string_view kPodSecurity = "pod-security.kubernetes.io/enforce";
inline constexpr std::string_view kFormerPodSecurity = "cistern.dev/former-pod-security";

// A spec that is in force: the newest one of its policy that was valid.
struct Accepted {
  model::Policy policy;
  unsigned generation = 0;
  Json spec;  // as the API server has it
  render::ReferencedNames references;
};

struct PolicyEntry {
  Object object;
  std::string uid;
  bool deleting = false;
  bool guarded = false;                      // has our finalizer: only then anything is made for it
  std::shared_ptr<const Accepted> accepted;  // null: nothing of it was ever valid
  std::optional<std::string> invalid;        // what is wrong with the newest spec; then `accepted` is an older one
};

struct Desired {
  plan::ClusterPlan plan;
  std::map<std::string, PolicyEntry> policies;  // all, those being deleted too (which are in no plan)
  std::map<std::string, std::size_t> group_index;

  const PolicyEntry* policy(const std::string& name) const;
  const plan::Group* group(const std::string& name) const;
  const plan::PolicyOutcome* outcome(const std::string& policy) const;
  // Empty: the node is in no group.
  const std::string& group_of(const std::string& node) const;
};

// What differs between two of them, by name.
struct Changes {
  std::set<std::string> groups;
  std::set<std::string> policies;
  std::set<std::string> nodes;
};
Changes changes(const Desired& before, const Desired& after);

// The ConfigMap in which an accepted spec outlives the operator. Pure.
std::string accepted_name(const std::string& policy);
Json accepted_config_map(const PolicyEntry& entry, const std::string& ns);

struct PlanInput {
  std::vector<Object> policies;
  std::vector<Object> nodes;
  std::vector<Object> namespaces;
  std::function<Object(const std::string& name)> config_map;  // of the operator's namespace
  // Of a replica that does not lead: what the ConfigMap says is in force, whatever this replica would make of the newest spec, so that all
  // of them tell pods the same.
  bool follows = false;
};

std::vector<plan::NamespaceFacts> namespace_facts(const std::vector<Object>& namespaces);
// What is planned: the specs in force of policies that are not being deleted.
std::vector<model::Policy> policies_in_force(const std::map<std::string, PolicyEntry>& entries);

// The next state. `before` has the specs that were accepted so far; where it knows none (after a start), the ConfigMap tells. A spec is not
// accepted if it is not valid by itself, nor if its overlays do not fit together for nodes that there are while those of the accepted one
// do.
std::shared_ptr<const Desired> make_desired(const Desired& before, const PlanInput& input, const std::string& own_namespace);

}  // namespace cistern::reconcile
