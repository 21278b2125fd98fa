// What one machine without a cluster gets from a set of policies. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "operator/model/merge.hpp"
#include "operator/model/policy.hpp"

namespace cistern::plan {

// Something that a policy says and that is accepted, but is not in force here.
struct Notice {
  yaml::Position position;  // of nothing where the policy is no file
  std::string path;
  std::string reason;
  std::string scope = "yet";  // where or when: "in standalone mode", "yet"
  // "policy.yaml:12: spec.prefetch: accepted, but not in force yet: …"
  std::string to_string() const;
};

// What pods see of Go through a profile: /go/~<profile>/.
struct View {
  std::string profile;
  model::Go go;
};

// A policy that lost against the one in force.
struct Overridden {
  std::string policy;
  yaml::Position position;
  std::string winner;
  std::string to_string() const;
};

struct MachinePlan {
  std::string policy;
  model::Effective effective;  // the policy without regions and profiles
  std::vector<View> views;     // by name
  std::vector<Notice> notices;
  std::vector<Overridden> overridden;
};

// `policies` must be valid and not empty. One policy owns the machine: the highest priority, then the oldest, then by name.
MachinePlan plan_machine(const std::vector<model::Policy>& policies);

// Whether `a` goes before `b` where both select the same.
bool wins(const model::Policy& a, const model::Policy& b);

}  // namespace cistern::plan
