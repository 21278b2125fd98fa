// What pods are told: by the policy that owns their namespace, under each of its profiles. Pure.
//
// At a pod's creation its node is unknown, hence its region, and the policy's Service may lead it to any of the policy's agents. So the
// policy is looked at without a region, and Go counts as served only where every group's agents serve it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/plan/cluster.hpp"

namespace cistern::plan {

// Under one profile, or without one.
struct PodSettings {
  model::Injection injection;
  // What the agents serve as /go/, or as the profile's view of it: one of each kind; they differ in upstreams and freshness only.
  std::vector<model::Go> go;
  std::string no_go;  // why Go is not served, where `go` is empty
};

struct PodRules {
  std::string policy;
  model::Choice profile;                        // how a namespace says which one it has
  PodSettings base;                             // without a profile, or with one that the policy does not define
  std::map<std::string, PodSettings> profiles;  // those that the policy defines
};

// For each policy, in the order of their names. `groups` are the plan's of these policies; one without nodes is looked at as it is written.
std::vector<PodRules> plan_pods(const std::vector<model::Policy>& policies, const std::vector<Group>& groups);

}  // namespace cistern::plan
