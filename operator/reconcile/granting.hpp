// grants/<group>: which of a group's nodes may change now, written into their Leases.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/grants.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

// The group's nodes as they are known now, by name. `silence`: without a word for so long a program counts as gone.
std::vector<GroupNode> group_nodes(const Cluster& cluster, const plan::Group& group, SteadyTime now, std::chrono::seconds silence);

// What its nodes may apply: empty unless nodeConfig.mode is Apply.
std::string hash_to_grant(const plan::Group& group, const std::string& node_hash);

// Thread-safe; one group by one thread at a time.
class GrantReconciler {
 public:
  GrantReconciler(const Parts& parts, const State& state, std::chrono::seconds silence) : parts_(parts), state_(state), silence_(silence) {}

  Result<Outcome> reconcile(const std::string& name);

 private:
  struct Written {
    std::string hash;
    SteadyTime at;
  };
  // What was written here and has not come back through the cache yet counts as written.
  void overlay(std::vector<GroupNode>& nodes);
  Result<void> write(const Grants::Grant& grant);

  const Parts& parts_;
  const State& state_;
  const std::chrono::seconds silence_;
  std::mutex mutex_;
  std::map<std::string, Written> written_;  // by node
};

}  // namespace cistern::reconcile
