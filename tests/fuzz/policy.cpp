// link: cistern_plan cistern_render
// A policy is anything that a person or a cluster gives us: whatever it is, it is refused or becomes files that the agent takes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/plan/explain.hpp"
#include "operator/render/files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cistern;
  const auto policies = model::parse_policies(std::string_view(reinterpret_cast<const char*>(data), size), "policy.yaml");
  if (!policies || policies->empty()) return 0;
  for (const auto& policy : *policies) {
    const auto again = model::from_json(model::to_json(policy));
    if (!again || !(again->spec.settings == policy.spec.settings)) std::abort();
  }
  const auto planned = plan::plan_machine(*policies);
  if (!planned) return 0;  // defaults of region and profile that do not fit together
  const auto& plan = *planned;
  plan::explain(plan.effective, {});
  const auto files = render::machine_files(plan, {"127.0.0.1:5050", "127.0.0.1:5051", "127.0.0.1:5050"});
  const auto agent = config::parse(files.at(render::kAgentFile), "/nonexistent");
  // The one thing that may be missing is a credential or a certificate.
  if (!agent && agent.error().message.find("/nonexistent/credentials/") == std::string::npos) std::abort();
  return 0;
}
