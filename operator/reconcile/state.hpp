// What the controllers tell each other, and what they are made of.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "operator/admission/rules.hpp"
#include "operator/kube/client.hpp"
#include "operator/kube/event_recorder.hpp"
#include "operator/reconcile/apply.hpp"
#include "operator/reconcile/cluster.hpp"
#include "operator/reconcile/desired.hpp"
#include "operator/reconcile/metrics.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::reconcile {

// All outlive the controllers.
struct Parts {
  kube::Client& client;
  const Clock& clock;
  const Cluster& cluster;
  kube::EventRecorder& events;
  Metrics& metrics;
  render::Installation installation;
};

// What came of making a group's objects.
struct GroupResult {
  std::string config_hash;                    // in its Secret
  std::string node_hash;                      // in the ConfigMap of its nodes; empty: there is none
  std::vector<std::string> kept_in_fallback;  // registries that the policy wants strict and must not be
  std::vector<render::MissingReference> missing;
  std::optional<Error> error;
};

// Waiting alone does not help against these.
bool is_refusal(const Error& error);

// Thread-safe.
class State {
 public:
  std::shared_ptr<const Desired> desired() const;
  void set_desired(std::shared_ptr<const Desired> desired);

  // Registries that are never strict, whatever a policy says.
  std::set<std::string> always_fallback() const;
  // True as below.
  bool set_always_fallback(std::set<std::string> registries);

  // True: it says something else than before.
  bool set_group(const std::string& group, GroupResult result);
  // Empty: its objects were not looked at yet.
  std::optional<GroupResult> group(const std::string& name) const;
  void forget_group(const std::string& name);

  // What pods are told, of the same plan; empty rules where nothing is injected, null before the first plan.
  std::shared_ptr<const admission::Rules> rules() const;
  void set_rules(std::shared_ptr<const admission::Rules> rules);

  // What keeps a namespace's ConfigMaps from being written, and of which policy they are; none: nothing. True as above.
  struct NamespaceError {
    std::string policy;
    std::string message;
    bool operator==(const NamespaceError&) const = default;
  };
  bool set_namespace_error(const std::string& ns, const std::optional<NamespaceError>& error);
  // By namespace.
  std::map<std::string, std::string> namespace_errors(const std::string& policy) const;

  // Why the API server does not ask the webhook, or can not trust it; empty: no reason is known. True as above.
  bool set_webhook_trouble(const std::string& trouble);
  std::string webhook_trouble() const;

  // Why a node has not got its label; null: it has. True as above.
  bool set_node_error(const std::string& node, const Error* error);
  std::optional<Error> node_error(const std::string& node) const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Desired> desired_ = std::make_shared<Desired>();
  std::map<std::string, GroupResult> groups_;
  std::map<std::string, Error> node_errors_;
  std::shared_ptr<const admission::Rules> rules_;
  std::map<std::string, NamespaceError> namespace_errors_;
  std::string webhook_trouble_;
  std::set<std::string> always_fallback_;
};

// Whether what there is of a policy stays although the plan does not have it: it could not be planned, now or ever since the operator
// started, and is not being deleted.
bool keeps_what_it_has(const Desired& desired, const std::string& policy);

}  // namespace cistern::reconcile
