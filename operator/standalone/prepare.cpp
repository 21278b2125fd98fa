#include "operator/standalone/prepare.hpp"

#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/render/files.hpp"
#include "operator/standalone/data_folder.hpp"

namespace cistern::standalone {

std::vector<std::string> watched_policies(const std::filesystem::path& policies) {
  std::vector<std::string> watched = {policies.string()};
  if (auto files = model::policy_files(policies)) {
    for (const auto& file : *files) watched.push_back(file.string());
  }
  return watched;
}

Result<Prepared> preview(const std::filesystem::path& policies, const std::string& listen) {
  const auto address = agent_address(listen);
  if (!address) return fail(address.error());
  Prepared prepared;
  prepared.watched = watched_policies(policies);
  const auto loaded = model::load_policies(policies);
  if (!loaded) return fail(loaded.error());
  prepared.plan = plan::plan_machine(*loaded);
  prepared.files = render::machine_files(prepared.plan, {listen, address->admin, address->listener});
  return prepared;
}

Result<Prepared> prepare(const std::filesystem::path& policies, const std::filesystem::path& data, const std::string& listen) {
  auto prepared = preview(policies, listen);
  if (!prepared) return prepared;
  if (auto closed = check_secret_modes(data); !closed) return fail(closed.error());
  const auto& text = prepared->files[render::kAgentFile];
  const auto agent = config::parse(text, data, render::kAgentFile);
  if (!agent) return fail(agent.error().in("what the policies make of the agent's file"));
  prepared->hash = agent->hash;
  prepared->watched.insert(prepared->watched.end(), agent->files.begin(), agent->files.end());
  return prepared;
}

}  // namespace cistern::standalone
