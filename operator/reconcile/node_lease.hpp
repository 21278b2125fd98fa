// What a node's program says of itself in its Lease (operator/node/lease.hpp), and since when nothing has been heard of it.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "operator/kube/resource.hpp"

namespace cistern::reconcile {

struct NodeLease {
  std::string node;
  std::string group;
  std::string config_hash;   // what its ConfigMap asks for, as it has read it
  std::string applied_hash;  // what is in force; "none": nothing of ours
  std::string granted;       // what the leader lets it apply
  std::string state;         // operator/node/decide.hpp
  std::string message;
  unsigned drift = 0;     // files that are not as they should be and left so
  unsigned failures = 0;  // tries in a row
  std::vector<std::string> kept_in_fallback;

  // Whether something of ours is in force there.
  bool holds_something() const { return !applied_hash.empty() && applied_hash != "none"; }
};

// Of a Lease, trimmed or not. Pure.
NodeLease node_lease(const kube::Json& lease);

// When it was renewed, by its node's clock. Nothing: it does not say.
std::optional<WallTime> renewed_at(const kube::Json& lease);

// When each node was heard of last. Measured by this machine's clock from when a renewal arrived, as clocks of nodes may be wrong; the age
// that a Lease has when it is first seen is all that is taken from its own time, so that a start of the operator makes no dead node alive.
// Thread-safe.
class Heartbeats {
 public:
  explicit Heartbeats(const Clock& clock) : clock_(clock) {}

  // Takes spec.renewTime out of a Lease, so that two of them are equal unless they say something else.
  void take(kube::Json& lease);
  void forget(const std::string& node);
  // Of a node that was never heard of: since this was asked first.
  SteadyTime last(const std::string& node);

 private:
  struct Heard {
    std::string renewed;  // as the Lease has it; empty: never
    SteadyTime at;
  };
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Heard> heard_;
};

}  // namespace cistern::reconcile
