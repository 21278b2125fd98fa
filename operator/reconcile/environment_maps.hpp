// namespace/<name>: the ConfigMaps `cistern-env…` of a namespace whose pods are injected, to which containers with `envFrom` are referred;
// written, followed and taken away again. Nothing else in a namespace of others is ever touched.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

// Whether a ConfigMap may be one of these, by its name. RBAC can not say it; the chart's ValidatingAdmissionPolicy does.
bool is_environment_map(std::string_view name);

// Thread-safe; one namespace by one thread at a time.
class EnvironmentMapReconciler {
 public:
  // `changed` is called with a policy whose status may say something else now.
  EnvironmentMapReconciler(const Parts& parts, State& state, Applier& applier, std::function<void(const std::string& policy)> changed)
      : parts_(parts), state_(state), applier_(applier), changed_(std::move(changed)) {}

  Result<Outcome> reconcile(const std::string& ns);

 private:
  // Both: what was written, in words.
  Result<std::string> write(const std::string& ns, const std::string& policy, const PolicyEntry& entry,
                            const std::map<std::string, admission::Variables>& wanted);
  Result<std::string> remove(const std::string& ns, const Desired& desired, const std::map<std::string, admission::Variables>& wanted);
  void note(const std::string& ns, const std::optional<State::NamespaceError>& error);

  const Parts& parts_;
  State& state_;
  Applier& applier_;
  const std::function<void(const std::string&)> changed_;
};

}  // namespace cistern::reconcile
