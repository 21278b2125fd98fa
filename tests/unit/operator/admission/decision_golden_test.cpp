// What is put into pods of a small cluster, as files under golden/: for each pod of pods/ (namespace, and what of the pod matters) the
// decision and the pod as it becomes; for each namespace its ConfigMaps. The policies, namespaces and nodes are those of the rendered
// cluster.
#include <gmock/gmock.h>

#include "operator/admission/decision.hpp"
#include "operator/model/parse.hpp"
#include "tests/unit/operator/render/golden.hpp"

namespace cistern::admission {
namespace {

namespace fs = std::filesystem;

const fs::path kCluster = fakes::source_folder() / "tests/unit/operator/render/cluster";
const fs::path kFolder = fakes::source_folder() / "tests/unit/operator/admission";

Json read_json(const fs::path& file) { return Json::parse(fakes::read_file(file)); }

template <class Facts>
std::vector<Facts> facts(const char* name) {
  std::vector<Facts> result;
  for (const auto& item : read_json(kCluster / name)) result.push_back({item["name"], item["labels"]});
  return result;
}

std::string as_yaml(const Json& value) { return yaml::emit(yaml::Json::parse(value.dump())); }

class DecisionGolden : public testing::TestWithParam<const char*> {};

TEST_P(DecisionGolden, pods_and_config_maps_are_as_recorded) {
  const std::string name = GetParam();
  const auto policies =
      model::load_policies(name == "everything" ? kCluster / "everything.yaml" : fakes::source_folder() / "examples" / (name + ".yaml"));
  ASSERT_TRUE(policies) << policies.error().message;
  const auto namespaces = facts<plan::NamespaceFacts>("namespaces.json");
  const auto plan = plan::plan_cluster(*policies, facts<plan::NodeFacts>("nodes.json"), namespaces, "cistern-system");
  std::set<std::string, std::less<>> ready;
  for (const auto& policy : *policies) ready.insert(policy.metadata.name);
  const auto rules = make_rules("cistern-system", plan::plan_pods(*policies, plan.groups), namespaces, plan, ready);

  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(kFolder / "pods")) {
    const auto pod = read_json(entry.path());
    const auto decision = decide(rules, pod["metadata"]["namespace"], pod);
    const auto after = pod.patch(decision.patch);
    EXPECT_TRUE(decide(rules, pod["metadata"]["namespace"], after).patch.empty()) << entry.path();
    const Json told = {{"policy", decision.policy},  {"profile", decision.profile}, {"variables", decision.variables},
                       {"whyNot", decision.why_not}, {"notes", decision.notes},     {"pod", after}};
    files[entry.path().stem().string() + ".yaml"] = as_yaml(told);
  }
  for (const auto& ns : namespaces) {
    for (const auto& [map, data] : environment_maps(rules, ns.name)) {
      files["configmaps/" + ns.name + "/" + map + ".yaml"] = as_yaml(Json(data));
    }
  }
  render::test::expect_recorded(kFolder / "golden" / name, files);
}

INSTANTIATE_TEST_SUITE_P(Policies, DecisionGolden, testing::Values("minimal", "company", "regions-and-profiles", "everything"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace cistern::admission
