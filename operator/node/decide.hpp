// What a node does next. Pure: everything that is known goes in, one action comes out.
#pragma once

#include <optional>
#include <string>

#include "operator/node/config.hpp"

namespace cistern::node {

struct Situation {
  // What the API server says; each is known once it has been listed. What was known stays while the API server is away.
  bool uninstall_known = false;
  bool uninstalling = false;
  bool node_known = false;
  std::string group;  // of this node's label; empty: none
  bool config_known = false;
  std::optional<Config> config;
  std::string config_problem;        // the ConfigMap is there and can not be read
  bool config_missing_long = false;  // it is not there, and not just not yet
  std::string granted;               // the hash that this node may apply; "none": it is to let go

  // This node.
  bool has_something = false;  // files of ours, or a configuration that was applied
  std::string applied;         // hash; empty: none
  bool drifted = false;        // files that are to be mended
  std::string blocked;         // why this node can not be configured; empty: it can
  bool resting = false;        // after a failure, for now
};

enum class Action { kKeep, kRestore, kReport, kApply, kRepair };

struct Decision {
  Action action = Action::kKeep;
  // What the Lease says: Unknown, Restored, Invalid, Off, Reported, Unsupported, Waiting, Failed, Applied.
  std::string state;
  std::string message;  // for a person; empty: nothing to say
};

Decision decide(const Situation& situation);

}  // namespace cistern::node
