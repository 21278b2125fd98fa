// What each example makes, as files under golden/<example>/. To take what is rendered now as right: CISTERN_UPDATE_GOLDEN=1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/render/files.hpp"

namespace cistern::render {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = CISTERN_SOURCE_DIR;
const fs::path kGolden = kSource / "tests/unit/operator/render/golden";

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, files_are_as_recorded) {
  const fs::path folder = kGolden / GetParam();
  const auto policies = model::load_policies(kSource / "examples" / (std::string(GetParam()) + ".yaml"));
  ASSERT_TRUE(policies) << policies.error().message;
  const auto files = machine_files(plan::plan_machine(*policies), {"0.0.0.0:5050", "127.0.0.1:5051", "127.0.0.1:5050"});
  if (std::getenv("CISTERN_UPDATE_GOLDEN") != nullptr) {
    fs::remove_all(folder);
    for (const auto& [name, content] : files) {
      fs::create_directories((folder / name).parent_path());
      std::ofstream(folder / name, std::ios::binary) << content;
    }
  }
  std::set<std::string> recorded;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) recorded.insert(fs::relative(entry.path(), folder).string());
  }
  for (const auto& [name, content] : files) {
    EXPECT_TRUE(recorded.erase(name)) << name << " is not recorded; run with CISTERN_UPDATE_GOLDEN=1 and look at the difference";
    std::ifstream in(folder / name, std::ios::binary);
    EXPECT_EQ(content, std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>())) << name;
  }
  EXPECT_TRUE(recorded.empty()) << *recorded.begin() << " is recorded, but not rendered";
}

INSTANTIATE_TEST_SUITE_P(Examples, Golden, testing::Values("minimal", "company", "regions-and-profiles"), [](const auto& test) {
  std::string name = test.param;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

TEST(AgentFile, is_what_the_agent_accepts) {
  for (const auto* example : {"minimal", "regions-and-profiles"}) {
    const auto policies = model::load_policies(kSource / "examples" / (std::string(example) + ".yaml"));
    ASSERT_TRUE(policies) << policies.error().message;
    const auto plan = plan::plan_machine(*policies);
    const auto files = machine_files(plan, {"127.0.0.1:5050", "127.0.0.1:5051", "127.0.0.1:5050"});
    const auto agent = config::parse(files.at(kAgentFile), "/data");
    ASSERT_TRUE(agent) << agent.error().message;
    EXPECT_EQ(agent->config.storage.path, "/data/cache");
    EXPECT_EQ(agent->config.go_views.size(), 1 + plan.views.size());
    EXPECT_TRUE(agent->config.listeners.combined());
  }
}

}  // namespace
}  // namespace cistern::render
