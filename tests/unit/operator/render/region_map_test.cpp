// A map of regions: what the agents of each are told about where images and modules come from, under golden/region-map/.
#include <gtest/gtest.h>

#include "base/encoding.hpp"
#include "operator/model/parse.hpp"
#include "operator/render/manifests.hpp"
#include "tests/unit/operator/render/golden.hpp"

namespace cistern::render {
namespace {

const std::filesystem::path kRenderTests = fakes::source_folder() / "tests/unit/operator/render";

TEST(RegionMap, each_region_has_its_mirrors_and_rewrites) {
  const auto policies = model::load_policies(kRenderTests / "cluster/region-map.yaml");
  ASSERT_TRUE(policies) << policies.error().message;
  const std::vector<plan::NodeFacts> nodes = {{"a", {{"topology.kubernetes.io/region", "cn"}}},
                                              {"b", {{"topology.kubernetes.io/region", "eu"}}},
                                              {"c", {{"topology.kubernetes.io/region", "us"}}}};
  const auto plan = plan::plan_cluster(*policies, nodes, {}, "cistern-system");
  EXPECT_EQ(plan.groups.size(), 3U);
  std::map<std::string, std::string> files;
  for (const auto& group : plan.groups) {
    const auto objects = group_objects(group, {group.policy, "00000000-0000-0000-0000-000000000001"}, {}, {}, "0123456789abcdef");
    ASSERT_TRUE(objects) << objects.error().message;
    files[group.name + ".yaml"] = *from_base64(objects->secret["data"]["agent.yaml"].get<std::string>());
  }
  test::expect_recorded(kRenderTests / "golden/region-map", files);
}

}  // namespace
}  // namespace cistern::render
