// group/<name>: the Secret, the headless Service and the DaemonSet of a group, in this order, so that no agent starts without its
// configuration, then the ConfigMap that its nodes read; and their removal when the group is in no plan any more and its nodes have put
// their files back.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

// Thread-safe; one group by one thread at a time.
class GroupReconciler {
 public:
  // `changed` is called with the policy's name when what is known of one of its groups has changed.
  GroupReconciler(const Parts& parts, State& state, Applier& applier, Leaving& leaving,
                  std::function<void(const std::string& policy)> changed);

  Result<Outcome> reconcile(const std::string& name);

 private:
  Result<Outcome> make(const Desired& desired, const plan::Group& group);
  Result<Outcome> remove(const Desired& desired, const std::string& name);
  Result<std::string> write(const plan::Group& group, const PolicyEntry& entry, GroupResult& result);
  Result<std::string> write_node_config(const plan::Group& group, const PolicyEntry& entry, GroupResult& result);
  Result<std::string> remove_node_config(const plan::Group& group);
  // The one that the group has, or a new one; stays the same whatever becomes of the Secret.
  std::string peer_key(const std::string& group);

  const Parts& parts_;
  State& state_;
  Applier& applier_;
  Leaving& leaving_;
  const std::function<void(const std::string&)> changed_;
  std::mutex mutex_;
  std::map<std::string, std::string> peer_keys_;
};

// The Secrets and ConfigMaps that a policy refers to, as far as they are there.
render::References references_of(const render::ReferencedNames& names, const Cluster& cluster);

}  // namespace cistern::reconcile
