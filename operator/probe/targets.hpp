// Which upstreams a policy has, and what each may be asked. Pure.
#pragma once

#include <string>
#include <vector>

#include "config/model.hpp"

namespace cistern::probe {

struct Target {
  std::string list;  // "go", "go ~dev", or the registry: upstreams of one list are compared with each other
  config::Upstream upstream;
  std::string path;      // asked to see how fast it answers
  std::string download;  // for the throughput; empty: not measured
  bool operator==(const Target&) const = default;
};

// `module`: MODULE@VERSION of a public module, or empty: no throughput. It is asked of no upstream that the configuration would not ask for
// it; in particular, if a private pattern matches it, of none whose match is "*".
std::vector<Target> targets(const config::Config& config, const std::string& module);

}  // namespace cistern::probe
