#include "operator/render/files.hpp"

#include <fmt/format.h>

#include "config/load.hpp"
#include "operator/render/environment.hpp"
#include "operator/render/runtime.hpp"
#include "operator/render/variables.hpp"

namespace cistern::render {

std::map<std::string, std::string> machine_environment(const plan::MachinePlan& plan, const std::string& base) {
  auto variables = plan.effective.settings.injection.env;
  if (const auto* go = plan::go_of(plan)) variables.merge(go_environment(*go, base, plan.place.profile));
  return variables;
}

std::map<std::string, std::string> machine_files(const plan::MachinePlan& plan, const Machine& machine) {
  const model::Settings& settings = plan.effective.settings;
  const std::string base = "http://" + machine.reachable;
  std::map<std::string, std::string> files;
  files[kAgentFile] = fmt::format("{}\n{}", kMark, config::to_yaml(agent_config(plan, machine)));
  files[kEnvFile] = fmt::format("{}\n{}", kMark, to_shell(machine_environment(plan, base)));
  for (const auto& registry : settings.registries) files["certs.d/" + registry.name + "/hosts.toml"] = hosts_toml(registry, base);
  files["registries.conf.d/cistern.conf"] = registries_conf(settings.registries, machine.reachable);
  return files;
}

}  // namespace cistern::render
