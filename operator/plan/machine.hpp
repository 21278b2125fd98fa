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

// Which overlays apply to the machine; empty: what the policy has as its default, as for a node without the label.
struct MachinePlace {
  std::string region;
  std::string profile;
};

struct MachinePlan {
  std::string policy;
  MachinePlace place;          // what applies; empty: none
  model::Effective effective;  // the policy in that region and profile
  model::Go go;                // what is served as /go/: in that region, without a profile
  std::vector<View> views;     // in that region, by name
  std::vector<Notice> notices;
  std::vector<Overridden> overridden;
};

// The view that a program on the machine is told of: the profile's, or the one without a name. Null: Go is not served to it.
const model::Go* go_of(const MachinePlan& plan);

// `policies` must be valid and not empty. One policy owns the machine: the highest priority, then the oldest, then by name.
// kInvalid if it has no such region or profile, or if the two do not fit together. A default that it does not define is a notice.
Result<MachinePlan> plan_machine(const std::vector<model::Policy>& policies, const MachinePlace& place = {});

// Whether `a` goes before `b` where both select the same.
bool wins(const model::Policy& a, const model::Policy& b);

}  // namespace cistern::plan
