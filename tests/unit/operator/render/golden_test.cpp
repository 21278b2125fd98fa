// What each example makes of one machine, as files under golden/<example>/; see golden.hpp.
#include <gtest/gtest.h>

#include <filesystem>

#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/render/files.hpp"
#include "tests/unit/operator/render/golden.hpp"

namespace cistern::render {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = fakes::source_folder();
const fs::path kGolden = kSource / "tests/unit/operator/render/golden";

struct Example {
  std::string name;
  plan::MachinePlace place = {};

  std::string folder() const {
    return name + (place.region.empty() ? "" : "-" + place.region) + (place.profile.empty() ? "" : "-" + place.profile);
  }
};

class Golden : public testing::TestWithParam<Example> {};

TEST_P(Golden, files_are_as_recorded) {
  const auto policies = model::load_policies(kSource / "examples" / (GetParam().name + ".yaml"));
  ASSERT_TRUE(policies) << policies.error().message;
  const auto plan = plan::plan_machine(*policies, GetParam().place);
  ASSERT_TRUE(plan) << plan.error().message;
  test::expect_recorded(kGolden / GetParam().folder(), machine_files(*plan, {"0.0.0.0:5050", "127.0.0.1:5051", "127.0.0.1:5050"}));
}

INSTANTIATE_TEST_SUITE_P(Examples, Golden,
                         testing::Values(Example{"minimal"}, Example{"company"}, Example{"regions-and-profiles"},
                                         Example{"regions-and-profiles", {"cn", ""}}, Example{"regions-and-profiles", {"", "dev"}},
                                         Example{"regions-and-profiles", {"cn", "prod"}}),
                         [](const auto& test) {
                           std::string name = test.param.folder();
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(AgentFile, is_what_the_agent_accepts) {
  for (const auto* example : {"minimal", "regions-and-profiles"}) {
    const auto policies = model::load_policies(kSource / "examples" / (std::string(example) + ".yaml"));
    ASSERT_TRUE(policies) << policies.error().message;
    const auto plan = plan::plan_machine(*policies);
    ASSERT_TRUE(plan) << plan.error().message;
    const auto files = machine_files(*plan, {"127.0.0.1:5050", "127.0.0.1:5051", "127.0.0.1:5050"});
    const auto agent = config::parse(files.at(kAgentFile), "/data");
    ASSERT_TRUE(agent) << agent.error().message;
    EXPECT_EQ(agent->config.storage.path, "/data/cache");
    EXPECT_EQ(agent->config.go_views.size(), 1 + plan->views.size());
    EXPECT_TRUE(agent->config.listeners.combined());
  }
}

}  // namespace
}  // namespace cistern::render
