// Which files a node's runtimes need for a configuration. Reads what is there, since whatever a runtime asked before it still asks after
// the agent: mirrors of others, their certificates, and what a _default folder says. Writes nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "operator/node/config.hpp"
#include "operator/node/keeper.hpp"
#include "operator/node/runtimes.hpp"

namespace cistern::node {

inline constexpr std::string_view kCrioFile = "/etc/containers/registries.conf.d/zz-cistern.conf";  // the last that says something counts

struct Layout {
  std::vector<DesiredFile> files;          // strict ones last
  std::vector<Finding> findings;           // of single registries; none blocks
  std::optional<DesiredFile> config_edit;  // containerd's own file, which needs a restart
};

// `keeper`: what is ours already, and what was there before it.
Layout lay_out(const fs::path& root, const Config& config, const Detection& detection, const Keeper& keeper);

}  // namespace cistern::node
