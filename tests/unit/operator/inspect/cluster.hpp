// A small cluster in which everything is as it should be, as the API server tells it; tests spoil it.
#pragma once

#include <string>

#include "operator/inspect/doctor.hpp"
#include "operator/inspect/explain.hpp"

namespace cistern::inspect::test {

// A moment at which everything is looked at: 2026-06-01T12:00:00Z.
WallTime now();

// JSON of a text in YAML's flow style.
Json yaml(const std::string& text);

// Two nodes (worker-1 in the region eu), the policy `default`, the namespaces default, shop and those of the system, the pod shop/build.
class Cluster {
 public:
  Cluster();

  // An object, to be changed; it must be there.
  static Json& in(Listed& list, const std::string& name);
  static void drop(Listed& list, const std::string& name);
  // A policy, with a status as of a healthy one, in the place of the one of that name.
  void put_policy(const std::string& name, const std::string& spec, const std::string& created = "2026-01-02T00:00:00Z");
  // A condition of policy `name` says this instead.
  void set_condition(const std::string& name, const std::string& type, const std::string& status, const std::string& reason,
                     const std::string& message);
  // What the operator makes for nodes and agents of the plan as it is now: labels, ConfigMaps, Leases, pods.
  void settle();
  // The webhook's certificate, from that day on.
  void certify(WallTime from);
  void annotate_lease(const std::string& node, const std::string& key, const std::string& value);
  void forbid(Listed& list);

  Snapshot snapshot;
  Json pod;  // shop/build, as it is after the webhook
};

}  // namespace cistern::inspect::test
