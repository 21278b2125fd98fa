#include "operator/node/decide.hpp"

#include <fmt/format.h>

namespace cistern::node {
namespace {

// Ours has to go, for good or for now. Restoring needs no grant: it can only bring back what worked before.
Decision without_ours(const Situation& situation, const char* state, std::string message) {
  return {situation.has_something ? Action::kRestore : Action::kKeep, state, std::move(message)};
}

// Nothing is decided anew; what is ours is looked after.
Decision as_it_is(const Situation& situation, const char* state, std::string message) {
  return {situation.drifted ? Action::kRepair : Action::kKeep, state, std::move(message)};
}

Decision carry_out(const Situation& situation) {
  const Config& config = *situation.config;
  if (!situation.blocked.empty()) return without_ours(situation, "Unsupported", situation.blocked);
  if (situation.applied == config.hash) return as_it_is(situation, "Applied", "");
  if (situation.granted != config.hash) return as_it_is(situation, "Waiting", "waits for its turn (nodeConfig.maxUnavailable)");
  if (situation.resting) return as_it_is(situation, "Failed", "");
  return {Action::kApply, "Applied", ""};
}

}  // namespace

Decision decide(const Situation& situation) {
  if (situation.uninstalling) return without_ours(situation, "Restored", "Cistern is being uninstalled");
  if (!situation.node_known || !situation.uninstall_known) {
    return as_it_is(situation, "Unknown", "the API server has not been heard yet; files stay as they are");
  }
  if (situation.group.empty()) return without_ours(situation, "Restored", "no policy selects this node");
  if (!situation.config_known) return as_it_is(situation, "Unknown", "the group's configuration has not been read yet");
  if (!situation.config_problem.empty()) return as_it_is(situation, "Invalid", situation.config_problem);
  if (!situation.config) {
    auto message = fmt::format("ConfigMap {}{} is not there", kConfigMapPrefix, situation.group);
    if (!situation.config_missing_long) return as_it_is(situation, "Unknown", std::move(message));
    return without_ours(situation, "Restored", std::move(message));
  }
  if (situation.granted == kLetGo) return without_ours(situation, "Restored", "this node leaves its group");
  switch (situation.config->mode) {
    case Mode::kOff: return without_ours(situation, "Off", "nodeConfig.mode is Off");
    case Mode::kReport:
      if (situation.has_something) return {Action::kRestore, "Reported", ""};
      return {Action::kReport, "Reported", situation.blocked};
    case Mode::kApply: break;
  }
  return carry_out(situation);
}

}  // namespace cistern::node
