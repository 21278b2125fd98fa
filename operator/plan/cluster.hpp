// What a cluster gets from its policies: which policy owns a node and a namespace, and which nodes share one configuration. Pure: the same
// input in any order gives the same plan.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/model/merge.hpp"
#include "operator/model/policy.hpp"
#include "operator/plan/machine.hpp"

namespace cistern::plan {

struct NodeFacts {
  std::string name;
  std::map<std::string, std::string> labels;
};

struct NamespaceFacts {
  std::string name;
  std::map<std::string, std::string> labels;
};

// Nodes with the same policy, region and profile. A region or profile counts only where the policy defines it; else it is empty.
struct Group {
  std::string name;  // a DNS label of at most 40 characters, unique, of the three below: "default", "default-cn-prod"; see GroupNames
  std::string policy;
  std::string region;
  std::string profile;
  std::vector<std::string> nodes;  // sorted
  model::Effective effective;      // what the nodes' agents do, and their images
  // What pods see of Go, whose own profile counts, not their node's: by the views of all profiles of the policy, in this region, by name …
  std::vector<View> views;
  model::Go go;  // … and as /go/: the policy in this region, without a profile. No upstream: Go is not served
};

// A region or profile that nodes or namespaces name and the policy does not define; the base applies to them. Nodes' regions are usually
// told by the cloud, so that one counts only where the policy defines regions, or names it as its default.
struct UnknownName {
  std::string kind;  // "region" or "profile"
  std::string name;
  std::size_t nodes = 0;
  std::size_t namespaces = 0;
};

// Nodes and namespaces that a policy selects and another one owns.
struct Lost {
  std::size_t nodes = 0;
  std::size_t namespaces = 0;
};

struct PolicyOutcome {
  std::string policy;
  std::size_t nodes = 0;                // owned
  std::size_t namespaces = 0;           // owned
  std::map<std::string, Lost> lost_to;  // by the winner's name
  std::vector<UnknownName> unknown;     // by kind and name
  // Overlays that do not fit together, one line each: "with region cn and profile prod: spec.…: …". A group of such is not in `groups`;
  // a view of such is in no group.
  std::vector<std::string> problems;
  std::vector<Notice> notices;  // fields that are accepted and not in force yet
};

struct ClusterPlan {
  std::vector<Group> groups;                         // by name
  std::map<std::string, std::string> group_of_node;  // a node that no policy selects is not in it
  std::map<std::string, std::string>
      policy_of_namespace;              // likewise; kube-system, kube-public, kube-node-lease and `own_namespace` never are
  std::vector<PolicyOutcome> outcomes;  // one for each policy, by name
};

// Policies must be valid, with unique names.
ClusterPlan plan_cluster(const std::vector<model::Policy>& policies, const std::vector<NodeFacts>& nodes,
                         const std::vector<NamespaceFacts>& namespaces, const std::string& own_namespace);

// kube-system, kube-public, kube-node-lease and the installation's: never injected, whatever a policy selects.
bool is_never_injected(std::string_view ns, std::string_view own_namespace);

// As the API server evaluates one: an empty selector selects everything.
bool selects(const model::LabelSelector& selector, const std::map<std::string, std::string>& labels);

}  // namespace cistern::plan
