// Everything that standalone mode writes into its data folder.
#pragma once

#include <map>
#include <string>

#include "operator/plan/machine.hpp"
#include "operator/render/agent.hpp"

namespace cistern::render {

inline constexpr const char* kAgentFile = "agent.yaml";
inline constexpr const char* kEnvFile = "env.sh";

// What a program on this machine is told, as a pod would be: the go command's environment by the view that the plan's profile has, and
// the policy's own injection.env, which wins. `base` as in go_environment.
std::map<std::string, std::string> machine_environment(const plan::MachinePlan& plan, const std::string& base);

// Path below the data folder → content: agent.yaml, env.sh, certs.d/<registry>/hosts.toml, registries.conf.d/cistern.conf. Each begins
// with the mark of our own files.
std::map<std::string, std::string> machine_files(const plan::MachinePlan& plan, const Machine& machine);

}  // namespace cistern::render
