// Nodes that leave their group: the label stays, and with it the agent, until the node's program has put the node's files back and said
// so, so that no pull meets a runtime that asks an agent which is gone. Not for ever, and not for a program that is not heard.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

// On a node that was away when Cistern was uninstalled: what is left there is put back by a later installation.
inline constexpr std::string_view kRestoreLabel = "cistern.dev.node-restriction.kubernetes.io/restore";

struct LeavingOptions {
  std::chrono::milliseconds limit{60000};  // for one node
  std::chrono::seconds silence{300};       // without a word for so long a program counts as gone
};

// Thread-safe.
class Leaving {
 public:
  Leaving(const Parts& parts, const State& state, LeavingOptions options) : parts_(parts), state_(state), options_(options) {}

  // Whether a node has to be waited for before its label may go. The time begins when this is asked first.
  bool waits(const std::string& node);
  // Those of the group's that have.
  std::vector<std::string> waiting(const std::string& group);
  // It does not leave, or has left.
  void forget(const std::string& node);

 private:
  const Parts& parts_;
  const State& state_;
  const LeavingOptions options_;
  std::mutex mutex_;
  std::map<std::string, SteadyTime> since_;
};

// What the node's Lease says; nothing: there is none.
std::optional<NodeLease> lease_of(const Cluster& cluster, const std::string& node);

}  // namespace cistern::reconcile
