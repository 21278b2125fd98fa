#include "operator/standalone/prepare.hpp"

#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/render/files.hpp"
#include "operator/standalone/data_folder.hpp"

namespace cistern::standalone {
namespace {

// Whether each credentialsRef and caRef below `node` has its folder, told with the place in the policy. Overlays are left to the check
// of the agent's file.
void check_references(const yaml::Node& node, const std::string& path, const std::filesystem::path& data, yaml::Problems& problems) {
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const auto& child = node.children[i];
    if (child.key == "regions" || child.key == "profiles") continue;
    const bool list = node.kind == yaml::Node::Kind::kList;
    const std::string child_path = list ? yaml::join_path(path, i) : yaml::join_path(path, child.key);
    const yaml::Node* name = child.key == "credentialsRef" || child.key == "caRef" ? child.find("name") : nullptr;
    if (name == nullptr) {
      check_references(child, child_path, data, problems);
      continue;
    }
    auto wanted = data / "credentials" / name->scalar.get<std::string>();
    if (child.key == "caRef") wanted /= "ca.crt";
    std::error_code error;
    if (std::filesystem::exists(wanted, error)) continue;
    problems.add(
        name->position, child_path + ".name",
        fmt::format("{} does not exist; {}", wanted.string(),
                    child.key == "caRef" ? "put the certificates there, as PEM"
                                         : "make it, with the files username and password, or token, or .dockerconfigjson, mode 0600"));
  }
}

}  // namespace

std::vector<std::string> watched_policies(const std::filesystem::path& policies) {
  std::vector<std::string> watched = {policies.string()};
  if (auto files = model::policy_files(policies)) {
    for (const auto& file : *files) watched.push_back(file.string());
  }
  return watched;
}

Result<Prepared> preview(const std::filesystem::path& policies, const std::string& listen, const plan::MachinePlace& place) {
  const auto address = agent_address(listen);
  if (!address) return fail(address.error());
  Prepared prepared;
  prepared.watched = watched_policies(policies);
  const auto loaded = model::load_policies(policies);
  if (!loaded) return fail(loaded.error());
  auto plan = plan::plan_machine(*loaded, place);
  if (!plan) return fail(plan.error());
  prepared.plan = std::move(*plan);
  prepared.files = render::machine_files(prepared.plan, {listen, address->admin, address->listener});
  return prepared;
}

Result<Prepared> prepare(const std::filesystem::path& policies, const std::filesystem::path& data, const std::string& listen,
                         const plan::MachinePlace& place) {
  auto prepared = preview(policies, listen, place);
  if (!prepared) return prepared;
  if (auto closed = check_secret_modes(data); !closed) return fail(closed.error());
  yaml::Problems missing;
  check_references(prepared->plan.effective.written, "spec", data, missing);
  if (!missing.empty()) return fail(missing.to_error());
  const auto& text = prepared->files[render::kAgentFile];
  const auto agent = config::parse(text, data, render::kAgentFile);
  if (!agent) return fail(agent.error().in("what the policies make of the agent's file"));
  prepared->hash = agent->hash;
  prepared->watched.insert(prepared->watched.end(), agent->files.begin(), agent->files.end());
  return prepared;
}

}  // namespace cistern::standalone
