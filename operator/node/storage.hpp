// The agent's cache folder on the node. The caller's thread only; blocks on the disk.
#pragma once

#include <string>

#include "operator/node/file_system.hpp"

namespace cistern::node {

// The user and group that agents run as.
inline constexpr unsigned kAgentUser = 65532;

// Makes `path` below `root`, mode 0750, for the agents' user. kUnavailable if none of its parents is mounted here; then the agent's pod
// makes it.
Result<void> prepare_storage(const fs::path& root, const std::string& path);

// Removes it and what is in it, and leaves its parents. Refused for a link, and for what is not the agents' user's. A mount within it
// stays.
Result<void> remove_storage(const fs::path& root, const std::string& path);

}  // namespace cistern::node
