// The operator's work: from changes of the cluster to a plan, from the plan to items, from items to writes.
//
//   informers ─► plan (one at a time, 50 ms after the first change) ─► group, grants, policy, node, pods, namespace, webhook ─► API server
//                  └► rules of the webhook         agents' answers, nodes' Leases ─┘
//
// Informers and the plan run on every replica, as every replica serves the webhook; only the leader acts on the rest. Everything is looked
// at again every ten minutes.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>

#include "operator/reconcile/agent_poller.hpp"
#include "operator/reconcile/agents.hpp"
#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/environment_maps.hpp"
#include "operator/reconcile/granting.hpp"
#include "operator/reconcile/group.hpp"
#include "operator/reconcile/leaving.hpp"
#include "operator/reconcile/node.hpp"
#include "operator/reconcile/pods.hpp"
#include "operator/reconcile/policy.hpp"
#include "operator/reconcile/state.hpp"
#include "operator/reconcile/webhook.hpp"

namespace cistern::reconcile {

struct ControllersOptions {
  PolicyOptions policy;
  WebhookOptions webhook;  // policy.injects follows it
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

  // The informers, and what follows them on every replica. start() returns at once.
  void start();
  void request_stop() { cluster_.request_stop(); }
  // Returns when their threads have ended.
  void stop();
  bool has_synced() const { return cluster_.has_synced(); }
  // Whether this replica can answer the webhook's reviews.
  bool webhook_ready() const { return webhook_reconciler_.ready(); }
  const Cluster& cluster() const { return cluster_; }

  // Blocks until `stop` is asked for: waits until the informers have synced, then keeps the cluster as it should be.
  void lead(const std::stop_token& stop);
  // Looks at everything again. Thread-safe; without effect unless leading.
  void resync();
  // Whether the work has begun; and whether nothing is waiting or being worked on, now. For tests.
  bool leads() const { return leading_; }
  // What waits for the time when certificates are renewed does not count.
  bool idle();
  std::shared_ptr<const Desired> desired() const { return state_.desired(); }
  std::shared_ptr<const admission::Rules> rules() const { return state_.rules(); }

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

  void namespace_changed(const Object& before, const Object& after);
  void endpoints_changed(const Object& before, const Object& after);
  void environment_map_changed(const Object& object, bool gone);

  std::vector<Controller*> controllers();
  void wake_plan();
  void wake_namespaces(const Desired& before, const Desired& after, const admission::Rules* told, const admission::Rules& rules);
  // Items of the controller `plan`: the plan, the Services' endpoints, the webhook's certificate.
  Result<Outcome> follow(const std::string& item);
  Result<Outcome> plan();
  Result<Outcome> look_at_endpoints();
  std::shared_ptr<const admission::Rules> make_rules(const Desired& desired, const std::vector<Object>& namespaces) const;
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
  EnvironmentMapReconciler environment_map_reconciler_;
  WebhookReconciler webhook_reconciler_;
  std::mutex planning_;
  Controller plans_, groups_, policies_, nodes_, pods_, namespaces_, webhooks_, grants_;
  std::set<std::string> silent_nodes_;  // at the last look
};

}  // namespace cistern::reconcile
