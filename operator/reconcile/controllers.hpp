// The operator's work while it leads: from changes of the cluster to a plan, from the plan to items, from items to writes.
//
//   informers ─► plan (one at a time, 50 ms after the first change) ─► group, grants, policy, node, pods ─► API server
//                                                       agents' answers, nodes' Leases ─┘
//
// Informers run on every replica; only the leader acts on them. Everything is looked at again every ten minutes.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <stop_token>
#include <string>

#include "operator/reconcile/agent_poller.hpp"
#include "operator/reconcile/agents.hpp"
#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/granting.hpp"
#include "operator/reconcile/group.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/reconcile/node.hpp"
#include "operator/reconcile/pods.hpp"
#include "operator/reconcile/policy.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

struct ControllersOptions {
  PolicyOptions policy;
  milliseconds debounce{50};
  milliseconds resync{600000};
  milliseconds heartbeat_check{10000};  // whether nodes have fallen silent
  // pod-security.kubernetes.io/enforce of the operator's own namespace is set to this, since agents need hostPath and hostPort; empty: it
  // is left as it is.
  std::string namespace_pod_security;
};

class Controllers {
 public:
  // All outlive it.
  Controllers(kube::Client& client, const Clock& clock, kube::EventRecorder& events, Metrics& metrics, AgentProbe& probe,
              render::Installation installation, ControllersOptions options);
  ~Controllers();

  // The informers. start() returns at once.
  void start();
  void request_stop() { cluster_.request_stop(); }
  // Returns when their threads have ended.
  void stop();
  bool has_synced() const { return cluster_.has_synced(); }
  const Cluster& cluster() const { return cluster_; }

  // Blocks until `stop` is asked for: waits until the informers have synced, then keeps the cluster as it should be.
  void lead(const std::stop_token& stop);
  // Looks at everything again. Thread-safe; without effect unless leading.
  void resync();
  // Whether the work has begun; and whether nothing is waiting or being worked on, now. For tests.
  bool leads() const { return leading_; }
  bool idle();
  std::shared_ptr<const Desired> desired() const { return state_.desired(); }

 private:
  void changed(const kube::Resource& resource, const Object& before, const Object& after);
  void policy_changed(const Object& before, const Object& after);
  void node_changed(const Object& before, const Object& after);
  void pods_refused(const Object& event);
  void lease_changed(const Object& before, const Object& after);
  void system_pod_changed(const Object& before, const Object& after);
  void pod_changed(const Object& before, const Object& after);
  void owned_changed(const kube::Resource& resource, const Object& object);
  void reference_changed(const kube::Resource& resource, const std::string& name);
  void wake_policy(const std::string& name, milliseconds delay);

  void wake_plan();
  Result<Outcome> plan();
  void permit_agents();
  // Wakes what depends on who is heard of.
  void check_heartbeats();
  // A namespace in which an operator works is not being uninstalled: what an interrupted or former uninstallation left goes.
  void end_uninstallation();
  void look_at_system_pods();

  std::atomic<bool> leading_{false};
  std::atomic<milliseconds> plan_took_{milliseconds(0)};
  const ControllersOptions options_;
  Metrics& metrics_;
  Cluster cluster_;
  Parts parts_;
  Applier applier_;
  State state_;
  AgentPoller poller_;
  Leaving leaving_;
  GrantReconciler grant_reconciler_;
  GroupReconciler group_reconciler_;
  PolicyReconciler policy_reconciler_;
  NodeReconciler node_reconciler_;
  PodReconciler pod_reconciler_;
  Controller plans_, groups_, policies_, nodes_, pods_, grants_;
  std::set<std::string> silent_nodes_;  // at the last look
};

}  // namespace cistern::reconcile
