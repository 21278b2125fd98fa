#include "operator/model/parse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/model/describe.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::model {
namespace {

using fakes::TemporaryFolder;
using testing::HasSubstr;

constexpr const char* kHead = "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: default}\n";

TEST(Policy, an_empty_spec_has_the_defaults_of_the_reference) {
  const auto policies = parse_policies(std::string(kHead) + "spec: {}\n", "p.yaml");
  ASSERT_TRUE(policies) << policies.error().message;
  const auto json = yaml::write(policies->front().spec, yaml::Write::kAll);
  EXPECT_EQ(json, yaml::Json::parse(R"({
    "priority": 0,
    "nodeSelector": {"matchLabels": {}, "matchExpressions": []},
    "namespaceSelector": {"matchLabels": {}, "matchExpressions": []},
    "go": {
      "upstreams": [], "private": [], "deny": [],
      "sumDB": {"mode": "Verify", "name": "sum.golang.org", "url": "",
                "key": "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "exempt": []},
      "allowDirect": false,
      "freshness": {"list": "1m", "latest": "1m", "negative": "1m", "staleIfError": "168h"}},
    "images": {"registries": []},
    "selection": "Ordered",
    "timeouts": {"connect": "3s", "firstByte": "15s", "idle": "30s"},
    "retries": 3,
    "breaker": {"failures": 5, "openFor": "30s"},
    "rateLimit": {"requestsPerSecond": 0.0, "burst": 0},
    "storage": {"size": "20Gi", "minFree": "15%", "hostPath": "/var/lib/cistern", "onDelete": "Delete"},
    "injection": {"mode": "OptOut", "overwrite": false, "env": {}},
    "nodeConfig": {"mode": "Apply", "runtimes": ["containerd", "crio"], "maxUnavailable": "10%"},
    "prefetch": {"goModules": [], "images": []},
    "peers": {"mode": "Auto", "replicas": 1},
    "agent": {"resources": {}, "tolerations": [{"operator": "Exists"}], "affinity": {}, "priorityClassName": "cistern-agent", "image": "",
              "hostNetwork": false},
    "region": {"labelKey": "topology.kubernetes.io/region", "default": ""},
    "profile": {"labelKey": "cistern.dev/profile", "default": ""},
    "regions": {}, "profiles": {}})"));
}

TEST(Policy, the_examples_are_valid) {
  const auto policies = load_policies(fakes::source_folder() / "examples/company.yaml");
  ASSERT_TRUE(policies) << policies.error().message;
  const Settings& settings = policies->front().spec.settings;
  EXPECT_EQ(settings.go.upstreams[1].fallback, config::Fallback::kAny);
  EXPECT_EQ(settings.go.upstreams[0].credentials_ref, (Reference{"corp-goproxy"}));
  EXPECT_FALSE(settings.registries[1].fallback_to_source);
  for (const auto* name : {"minimal.yaml", "regions-and-profiles.yaml"}) {
    const auto others = load_policies(fakes::source_folder() / "examples" / name);
    EXPECT_TRUE(others) << others.error().message;
  }
}

TEST(Policy, several_documents_and_files_are_read_in_the_order_of_their_names) {
  TemporaryFolder folder;
  const auto policy = [](const std::string& name) {
    return "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: " + name + "}\nspec: {}\n";
  };
  folder.write("b.yml", policy("three"));
  folder.write("a.yaml", policy("one") + "---\n" + policy("two"));
  folder.write("c.json", R"({"apiVersion": "cistern.dev/v1alpha1", "kind": "MirrorPolicy", "metadata": {"name": "four"}, "spec": {}})");
  folder.write("notes.txt", "not a policy");
  folder.write(".b.yaml.swp", "\xff");
  const auto policies = load_policies(folder.path());
  ASSERT_TRUE(policies) << policies.error().message;
  std::vector<std::string> names;
  for (const auto& one : *policies) names.push_back(one.metadata.name);
  EXPECT_EQ(names, (std::vector<std::string>{"one", "two", "three", "four"}));
}

TEST(Policy, the_same_name_twice_is_refused_with_both_places) {
  TemporaryFolder folder;
  folder.write("a.yaml", std::string(kHead) + "spec: {}\n");
  folder.write("b.yaml", std::string(kHead) + "spec: {}\n");
  const auto policies = load_policies(folder.path());
  ASSERT_FALSE(policies);
  EXPECT_EQ(policies.error().message, (folder.path() / "b.yaml").string() + ":4: metadata.name: a policy \"default\" is at " +
                                          (folder.path() / "a.yaml").string() + ":4 already; give each its own name");
}

TEST(Policy, a_folder_without_policies_says_how_to_get_one) {
  TemporaryFolder folder;
  const auto policies = load_policies(folder.path());
  ASSERT_FALSE(policies);
  EXPECT_EQ(policies.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(policies.error().message, HasSubstr("cistern-operator init --output"));
}

TEST(Policy, what_is_wrong_in_several_files_is_told_at_once) {
  TemporaryFolder folder;
  folder.write("a.yaml", std::string(kHead) + "spec: {retries: 99}\n");
  folder.write("b.yaml", "spec: [");
  const auto policies = load_policies(folder.path());
  ASSERT_FALSE(policies);
  EXPECT_THAT(policies.error().message, HasSubstr("a.yaml:4: spec.retries: 99 is out of bounds"));
  EXPECT_THAT(policies.error().message, HasSubstr("\n" + (folder.path() / "b.yaml").string() + ":1: not valid YAML"));
}

TEST(Policy, json_both_ways_keeps_the_policy) {
  const auto policies = load_policies(fakes::source_folder() / "examples/regions-and-profiles.yaml");
  ASSERT_TRUE(policies) << policies.error().message;
  const auto json = to_json(policies->front());
  const auto again = from_json(json);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_json(*again), json);
  EXPECT_EQ(again->spec.settings, policies->front().spec.settings);
}

TEST(Policy, what_the_api_server_adds_is_accepted) {
  const auto policy = from_json(yaml::Json::parse(R"({"apiVersion": "cistern.dev/v1alpha1", "kind": "MirrorPolicy",
    "metadata": {"name": "x", "uid": "1", "resourceVersion": "2", "creationTimestamp": "2025-01-31T12:00:00Z", "generation": 3,
                 "managedFields": [{"fieldsV1": {"f:spec": {}}}], "labels": {"a": "b"}},
    "spec": {"priority": -5}, "status": {"observedGeneration": 3, "conditions": [null]}})"));
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->metadata.creation_timestamp, "2025-01-31T12:00:00Z");
  EXPECT_EQ(policy->spec.priority, -5);
}

}  // namespace
}  // namespace cistern::model
