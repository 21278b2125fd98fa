// Why a node, an agent or a namespace does not use its cache, and what to do; the same for `explain` of one of them and for `doctor` of
// all. Pure. A sentence names no node, so that those of many nodes can be told as one.
#pragma once

#include <string>
#include <vector>

#include "operator/inspect/doctor.hpp"

namespace cistern::inspect {

struct Cause {
  Level level = Level::kProblem;  // kWarning: somebody may have meant it so, or it passes
  std::string why;
  std::string todo;
  bool stops = true;  // the cache is not used for it; else it is, and this is worth knowing
};
using Causes = std::vector<Cause>;

// Of a node of the plan's `group`: whether its runtime asks the agent. Without those of the agent itself.
Causes runtime_causes(const World& world, const plan::Group& group, const Json& node);
// Of the node's agent: whether it is there and in force.
Causes agent_causes(const World& world, const plan::Group& group, const std::string& node);
// Of the program that writes the node's files.
Causes node_program_causes(const World& world, const std::string& node);
// Of the webhook, whatever it is asked for. Which pods that is: why_webhook_is_not_asked().
Causes webhook_causes(const World& world);

// Of an object of the API: what its Ready condition says.
bool is_ready_node(const Json& node);

}  // namespace cistern::inspect
