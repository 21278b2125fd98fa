// The six conditions of a policy. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/reconcile/findings.hpp"

namespace cistern::reconcile {

struct Condition {
  std::string type;
  std::string status;  // True | False | Unknown
  std::string reason;
  std::string message;
};

// Accepted, Ready, Reconciling, Stalled, Degraded, Overridden, in this order.
std::vector<Condition> conditions_of(const PolicyState& state, const Agents& agents);

}  // namespace cistern::reconcile
