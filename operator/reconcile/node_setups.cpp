#include "operator/reconcile/node_setups.hpp"

#include <algorithm>

#include "operator/reconcile/words.hpp"

namespace cistern::reconcile {
namespace {

constexpr std::size_t kTheirWords = 320;

using Setups = std::vector<const NodeSetup*>;

std::string names(const Setups& setups) {
  std::vector<std::string> all;
  for (const auto* setup : setups) all.push_back(setup->node);
  return few(all);
}

std::string theirs(const NodeSetup& setup) {
  return setup.message.empty() ? std::string("no reason was given") : cut(one_line(setup.message), kTheirWords);
}

// The first node's words stand for all.
std::string with_words(const Setups& setups) {
  return setups.size() == 1 ? fmt::format("{}: {}", setups.front()->node, theirs(*setups.front()))
                            : fmt::format("{}; {}: {}", names(setups), setups.front()->node, theirs(*setups.front()));
}

void sort_in(NodeSetups& all, const GroupState& group, const NodeSetup& setup) {
  switch (setup.state) {
    case NodeSetupState::kConfigured: ++all.configured; break;
    case NodeSetupState::kWaiting:
      if (setup.reachable) (group.held_by_failed ? all.held : all.waiting).push_back(&setup);
      break;
    case NodeSetupState::kFailed: all.failed.push_back(&setup); break;
    case NodeSetupState::kUnsupported: all.unsupported.push_back(&setup); break;
    case NodeSetupState::kSilent: all.silent.push_back(&setup); break;
    case NodeSetupState::kReported: all.reported.push_back(&setup); break;
    case NodeSetupState::kOff: ++all.off; break;
  }
  if (setup.drift > 0) all.drifted.push_back(&setup);
  all.kept_in_fallback.insert(setup.kept_in_fallback.begin(), setup.kept_in_fallback.end());
}

}  // namespace

NodeSetups look_at_node_setups(const PolicyState& state) {
  NodeSetups all;
  for (const auto& group : state.groups) {
    all.told = all.told || group.node_mode;
    for (const auto& setup : group.node_setups) sort_in(all, group, setup);
    all.kept_in_fallback.insert(group.kept_in_fallback.begin(), group.kept_in_fallback.end());
  }
  for (auto* list : {&all.waiting, &all.held, &all.failed, &all.unsupported, &all.silent, &all.drifted, &all.reported}) {
    std::ranges::sort(*list, {}, [](const auto* setup) { return setup->node; });
  }
  return all;
}

void add_waiting_nodes(const NodeSetups& setups, std::vector<Finding>& findings) {
  if (setups.waiting.empty()) return;
  // Of those whose turn it is, the first that says what it waits for.
  const auto why = std::ranges::find_if(setups.waiting, [](const auto* setup) { return setup->its_turn && !setup->message.empty(); });
  const auto words = why == setups.waiting.end() ? std::string() : fmt::format(" {}: {}.", (*why)->node, theirs(**why));
  findings.push_back({"NodesWaiting", fmt::format("The runtime of {} is not set up yet: {}. It goes on by itself, as many at a time as "
                                                  "spec.nodeConfig.maxUnavailable says, each once its agent answers.{}",
                                                  counted(setups.waiting.size(), "node"), names(setups.waiting), words)});
}

void add_troubled_nodes(const PolicyState& state, const NodeSetups& setups, std::vector<Finding>& findings) {
  if (!setups.failed.empty()) {
    const auto held = setups.held.empty()
                          ? std::string()
                          : fmt::format(" {} {} until that is mended, since too many have failed.",
                                        counted(setups.held.size(), "more node"), setups.held.size() == 1 ? "waits" : "wait");
    findings.push_back(
        {"NodeConfigFailed",
         fmt::format("The runtime of {} could not be set up, and its files are as before: {}. It is tried again by itself.{}",
                     counted(setups.failed.size(), "node"), with_words(setups.failed), held)});
  }
  if (!setups.unsupported.empty()) {
    findings.push_back({"NodeUnsupported", fmt::format("{} can not be set up from here and {} not use the cache for images: {}.",
                                                       counted(setups.unsupported.size(), "node"),
                                                       setups.unsupported.size() == 1 ? "does" : "do", with_words(setups.unsupported))});
  }
  if (!setups.silent.empty()) {
    findings.push_back(
        {"HeartbeatStale",
         fmt::format(
             "Nothing is heard of the node program on {}: {}. See: kubectl -n {} get pods -o wide -l app.kubernetes.io/component=node.",
             counted(setups.silent.size(), "node"), names(setups.silent), state.ns)});
  }
  if (!setups.drifted.empty()) {
    findings.push_back(
        {"Drifted", fmt::format("Files on {} are not as the policy says, and are left so: {}. To have them managed again, take "
                                "out the line \"# cistern: unmanaged\", or stop what changes them.",
                                counted(setups.drifted.size(), "node"), with_words(setups.drifted))});
  }
}

std::string node_note(const NodeSetups& setups) {
  if (!setups.told) return {};
  std::string note;
  if (setups.configured > 0)
    note += fmt::format(" The runtime of {} asks {} first.", counted(setups.configured, "node"), setups.configured == 1 ? "it" : "them");
  if (!setups.reported.empty()) {
    note += fmt::format(" nodeConfig.mode is Report, so that nothing is written on {}: {}.", counted(setups.reported.size(), "node"),
                        with_words(setups.reported));
  }
  if (setups.off > 0) note += fmt::format(" nodeConfig.mode is Off on {}.", counted(setups.off, "node"));
  return note;
}

}  // namespace cistern::reconcile
