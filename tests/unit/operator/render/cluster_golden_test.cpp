// What policies make of a small cluster (cluster/*.json), as files under golden/cluster/<policies>/; see golden.hpp. Manifests are as they
// are applied; agents/ has the agents' files that the Secrets hold, plan.yaml what the plan says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.hpp"
#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/render/manifests.hpp"
#include "tests/unit/operator/render/golden.hpp"

namespace cistern::render {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kFolder = fakes::source_folder() / "tests/unit/operator/render";

json read_json(const std::string& name) { return json::parse(fakes::read_file(kFolder / "cluster" / name)); }

template <class Facts>
std::vector<Facts> facts(const std::string& name) {
  std::vector<Facts> result;
  for (const auto& item : read_json(name)) result.push_back({item["name"], item["labels"]});
  return result;
}

std::string as_yaml(const json& value) { return yaml::emit(yaml::Json::parse(value.dump())); }

json told(const plan::ClusterPlan& plan) {
  json text = {{"nodes", plan.group_of_node}, {"namespaces", plan.policy_of_namespace}};
  for (const auto& outcome : plan.outcomes) {
    json& policy = text["policies"][outcome.policy];
    policy = {{"nodes", outcome.nodes}, {"namespaces", outcome.namespaces}, {"problems", outcome.problems}};
    for (const auto& [winner, lost] : outcome.lost_to) policy["lostTo"][winner] = {{"nodes", lost.nodes}, {"namespaces", lost.namespaces}};
    for (const auto& name : outcome.unknown) {
      policy["unknown"].push_back({{"kind", name.kind}, {"name", name.name}, {"nodes", name.nodes}, {"namespaces", name.namespaces}});
    }
    for (const auto& notice : outcome.notices) policy["notices"].push_back(notice.path + ": " + notice.reason);
  }
  return text;
}

class Files {
 public:
  void add(const json& object) {
    std::string kind = object["kind"];
    std::transform(kind.begin(), kind.end(), kind.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
    files_[kind + "-" + object["metadata"]["name"].get<std::string>() + ".yaml"] = as_yaml(object);
  }

  void add(const plan::Group& group, const GroupObjects& objects, json& plan) {
    add(objects.secret);
    add(objects.service);
    add(objects.daemon_set);
    files_["agents/" + group.name + ".yaml"] = *from_base64(objects.secret["data"]["agent.yaml"].get<std::string>());
    json& told = plan["groups"][group.name];
    told = {{"policy", group.policy}, {"region", group.region}, {"profile", group.profile}, {"configHash", objects.config_hash}};
    for (const auto& missing : objects.missing) told["missing"].push_back(missing.path + ": " + missing.reason);
  }

  std::map<std::string, std::string> take(const json& plan) {
    files_["plan.yaml"] = as_yaml(plan);
    return std::move(files_);
  }

 private:
  std::map<std::string, std::string> files_;
};

class ClusterGolden : public testing::TestWithParam<const char*> {};

TEST_P(ClusterGolden, manifests_are_as_recorded) {
  const std::string name = GetParam();
  const auto policies = model::load_policies(name == "everything" ? kFolder / "cluster/everything.yaml"
                                                                  : fakes::source_folder() / "examples" / (name + ".yaml"));
  ASSERT_TRUE(policies) << policies.error().message;
  const auto plan =
      plan::plan_cluster(*policies, facts<plan::NodeFacts>("nodes.json"), facts<plan::NamespaceFacts>("namespaces.json"), "cistern-system");
  Installation installation;
  installation.image = "registry.example/cistern:v1";
  installation.kubernetes_minor = 34;
  if (name == "everything") installation.image_pull_secrets = {"pull"};
  const auto given = read_json("references.json");
  const References references{given["secrets"], given["configMaps"]};
  Files files;
  auto text = told(plan);
  for (const auto& group : plan.groups) {
    const auto objects =
        group_objects(group, {group.policy, "00000000-0000-0000-0000-000000000001"}, installation, references, "0123456789abcdef");
    ASSERT_TRUE(objects) << objects.error().message;
    files.add(group, *objects, text);
  }
  for (const auto& policy : *policies) {
    const auto objects = policy_objects(policy.metadata.name, {policy.metadata.name, "00000000-0000-0000-0000-000000000001"}, installation);
    files.add(objects.service);
    files.add(objects.network_policy);
  }
  test::expect_recorded(kFolder / "golden/cluster" / name, files.take(text));
}

INSTANTIATE_TEST_SUITE_P(Policies, ClusterGolden, testing::Values("minimal", "company", "regions-and-profiles", "everything"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace cistern::render
