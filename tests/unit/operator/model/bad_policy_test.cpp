// What a person reads when a policy is wrong.
#include <gtest/gtest.h>

#include "operator/model/parse.hpp"

namespace cistern::model {
namespace {

struct Case {
  const char* name;
  const char* spec;  // from line 5 on, below `spec:`
  const char* message;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class BadPolicy : public testing::TestWithParam<Case> {};

TEST_P(BadPolicy, is_refused_with_file_line_and_path) {
  const std::string head = "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: default}\nspec:\n";
  const auto policies = parse_policies(head + GetParam().spec, "p.yaml");
  ASSERT_FALSE(policies);
  EXPECT_EQ(policies.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(policies.error().message, GetParam().message);
}

const Case kCases[] = {
    {"unknown_field", "  go:\n    upstream: []\n", "p.yaml:6: spec.go.upstream: unknown field; did you mean \"upstreams\"?"},
    {"wrong_type", "  retries: three\n", "p.yaml:5: spec.retries: must be a whole number, 0 or more, not the text \"three\""},
    {"null", "  go:\n    deny:\n", "p.yaml:6: spec.go.deny: has no value; leave the field out, or write [] or Off to take something away"},
    {"null_in_a_list", "  prefetch:\n    images: [~]\n",
     "p.yaml:6: spec.prefetch.images[0]: has no value; leave the field out, or write [] or Off to take something away"},
    {"null_deep_in_a_pods_part", "  agent:\n    affinity:\n      nodeAffinity:\n",
     "p.yaml:7: spec.agent.affinity.nodeAffinity: has no value; leave the field out, or write [] or Off to take something away"},
    {"truth_value_for_off", "  nodeConfig: {mode: false}\n",
     "p.yaml:5: spec.nodeConfig.mode: must be text (write \"false\" in quotes), not the truth value false"},
    {"duplicate_registry",
     "  images:\n    registries:\n    - {name: docker.io, upstreams: [{url: \"https://a\"}]}\n    - {name: docker.io, upstreams: [{url: "
     "\"https://b\"}]}\n",
     "p.yaml:8: spec.images.registries[1].name: the registry docker.io is there already; put its upstreams into one entry"},
    {"registry_without_upstream", "  images: {registries: [{name: docker.io}]}\n",
     "p.yaml:5: spec.images.registries[0].upstreams: must name at least one upstream"},
    {"duplicate_upstream", "  go:\n    upstreams:\n    - url: https://a/x\n    - url: https://a/y\n",
     "p.yaml:8: spec.go.upstreams[1].name: an upstream \"a\" is in this list already; give each its own name"},
    {"credentials_in_url", "  go:\n    upstreams:\n    - url: https://ann:sesame@a\n",
     "p.yaml:7: spec.go.upstreams[0].url: the URL holds user information; write it without, and give credentials by reference"},
    {"bad_pattern", "  go: {private: [\"a, b\"]}\n",
     "p.yaml:5: spec.go.private[0]: \"a, b\" is not a module pattern: a pattern has no comma or white space; make it two list entries; "
     "write "
     "globs of path prefixes, as in \"*.corp.example\" or \"github.com/acme/*\""},
    {"bad_regex", "  images: {registries: [{name: a, upstreams: [{url: \"https://a\", rewrite: [{pattern: \"(\", replacement: b}]}]}]}\n",
     "p.yaml:5: spec.images.registries[0].upstreams[0].rewrite[0].pattern: \"(\" is not a regular expression (RE2): missing ): ("},
    {"direct_past_deny", "  go: {allowDirect: true, deny: [a.example]}\n",
     "p.yaml:5: spec.go.allowDirect: would let `go` fetch what deny refuses; remove deny, or set allowDirect to false"},
    {"strict_without_node_configuration",
     "  images: {registries: [{name: a, fallbackToSource: false, upstreams: [{url: \"https://a\"}]}]}\n  nodeConfig: {mode: Off}\n",
     "p.yaml:5: spec.images.registries[0].fallbackToSource: false needs the runtime's configuration, which nodeConfig.mode Off leaves "
     "alone; write true, or nodeConfig.mode Apply"},
    {"negative_too_long", "  go: {freshness: {negative: 5m}}\n",
     "p.yaml:5: spec.go.freshness.negative: \"5m\" is out of bounds; write 0s to 1m, so that a new version is seen soon"},
    {"percent", "  storage: {minFree: 101%}\n",
     "p.yaml:5: spec.storage.minFree: \"101%\" is not a percentage; write a whole number from 0% to 100%"},
    {"max_unavailable", "  nodeConfig: {maxUnavailable: some}\n",
     "p.yaml:5: spec.nodeConfig.maxUnavailable: \"some\" is neither a number of nodes nor a percentage; write 2 or \"10%\""},
    {"host_path", "  storage: {hostPath: var}\n",
     "p.yaml:5: spec.storage.hostPath: \"var\" is not an absolute path of a folder; write one such as \"/var/lib/cistern\""},
    {"selector", "  nodeSelector: {disk: ssd}\n",
     "p.yaml:5: spec.nodeSelector.disk: unknown field; known here are matchLabels, matchExpressions"},
    {"variable_name", "  injection: {env: {\"A B\": x}}\n",
     "p.yaml:5: spec.injection.env[\"A B\"]: is not a variable's name; write letters, digits and '_'"},
    {"resources", "  agent: {resources: {limits: {cpu: lots}}}\n",
     "p.yaml:5: spec.agent.resources.limits.cpu: \"lots\" is not a quantity; write one such as 100m or 64Mi"},
    {"resources_of_one_kind", "  agent: {resources: {requests: 100m}}\n",
     "p.yaml:5: spec.agent.resources.requests: is not a map of quantities, such as {cpu: 100m, memory: 64Mi}"},
    {"unknown_field_in_overlay", "  regions:\n    cn:\n      go: {upstreem: []}\n",
     "p.yaml:7: spec.regions.cn.go.upstreem: unknown field; did you mean \"upstreams\"?"},
    {"overlay_of_what_is_not_overlaid", "  profiles:\n    dev: {priority: 1}\n",
     "p.yaml:6: spec.profiles.dev.priority: unknown field; known here are go, images, selection, timeouts, retries, breaker, rateLimit, "
     "storage, "
     "injection, nodeConfig, prefetch, peers, agent"},
    {"region_with_injection", "  regions:\n    cn:\n      injection: {}\n",
     "p.yaml:7: spec.regions.cn.injection: can not be set in a region: at a pod's creation its node is unknown; set it in spec or in a "
     "profile"},
    {"region_with_deny", "  regions:\n    cn: {go: {deny: []}}\n",
     "p.yaml:6: spec.regions.cn.go.deny: can not be set in a region: at a pod's creation its node is unknown; set it in spec or in a "
     "profile"},
    {"region_with_private", "  regions:\n    cn:\n      go:\n        private: [a.example]\n",
     "p.yaml:8: spec.regions.cn.go.private: can not be set in a region: at a pod's creation its node is unknown; set it in spec or in a "
     "profile"},
    {"region_with_sumdb", "  regions:\n    cn: {go: {sumDB: {mode: Off}}}\n",
     "p.yaml:6: spec.regions.cn.go.sumDB: can not be set in a region: at a pod's creation its node is unknown; set it in spec or in a "
     "profile"},
    {"region_with_direct", "  regions:\n    cn: {go: {allowDirect: true}}\n",
     "p.yaml:6: spec.regions.cn.go.allowDirect: can not be set in a region: at a pod's creation its node is unknown; set it in spec or in "
     "a "
     "profile"},
    {"null_in_overlay", "  regions:\n    cn:\n      go:\n        upstreams:\n",
     "p.yaml:8: spec.regions.cn.go.upstreams: has no value; leave the field out, or write [] or Off to take something away"},
    {"null_in_a_registry_of_an_overlay", "  profiles:\n    dev: {images: {registries: [{name: a, tagTTL: ~}]}}\n",
     "p.yaml:6: spec.profiles.dev.images.registries[0].tagTTL: has no value; leave the field out, or write [] or Off to take something "
     "away"},
    {"list_where_a_map_merges", "  regions:\n    cn:\n      go: []\n", "p.yaml:7: spec.regions.cn.go: must be a map, not a list"},
    {"map_where_a_list_replaces", "  profiles:\n    dev:\n      images: {registries: {docker.io: {}}}\n",
     "p.yaml:7: spec.profiles.dev.images.registries: must be a list, not a map"},
    {"map_where_a_number_replaces", "  profiles:\n    dev: {retries: {count: 1}}\n",
     "p.yaml:6: spec.profiles.dev.retries: must be a whole number, 0 or more, not a map"},
    {"text_as_an_overlay", "  regions: {cn: none}\n", "p.yaml:5: spec.regions.cn: must be a map, not the text \"none\""},
    {"overlay_in_an_overlay", "  regions:\n    cn: {profiles: {}}\n",
     "p.yaml:6: spec.regions.cn.profiles: unknown field; known here are go, images, selection, timeouts, retries, breaker, rateLimit, "
     "storage, "
     "injection, nodeConfig, prefetch, peers, agent"},
    {"overlay_registry_without_name", "  regions:\n    cn: {images: {registries: [{tagTTL: 1m}]}}\n",
     "p.yaml:6: spec.regions.cn.images.registries[0].name: is required, as registries are merged by name, and is missing"},
    {"profile_makes_a_contradiction", "  go: {allowDirect: true}\n  profiles:\n    dev:\n      go:\n        deny: [a.example]\n",
     "p.yaml:5: spec.go.allowDirect: would let `go` fetch what deny refuses; remove deny, or set allowDirect to false (with profile dev)"},
    {"profile_name", "  profiles: {Dev: {}}\n",
     "p.yaml:5: spec.profiles.Dev: \"Dev\" is not a name here; write lower-case letters, digits and '-' (at most 63), as in \"dev\""},
    {"null_overlay", "  profiles: {dev: }\n",
     "p.yaml:5: spec.profiles.dev: has no value; leave the field out, or write [] or Off to take something away"},
};

INSTANTIATE_TEST_SUITE_P(Policy, BadPolicy, testing::ValuesIn(kCases), [](const auto& test) { return std::string(test.param.name); });

TEST(BadPolicy, an_overlay_from_the_api_server_is_refused_with_its_path_too) {
  const auto policy = from_json(Json::parse(
      R"({"apiVersion": "cistern.dev/v1alpha1", "kind": "MirrorPolicy", "metadata": {"name": "a"}, "spec": {"regions": {"cn": {"go": {"deny": []}}}}})"));
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().message,
            "spec.regions.cn.go.deny: can not be set in a region: at a pod's creation its node is unknown; set it in spec or in a profile");
}

TEST(BadPolicy, the_frame_is_checked) {
  EXPECT_EQ(parse_policies("kind: Secret\nmetadata: {}\n", "p").error().message,
            "p:1: apiVersion: is required, and is missing\n"
            "p:1: kind: \"Secret\" is not known here; write MirrorPolicy\n"
            "p:1: spec: is required, and is missing\n"
            "p:2: metadata.name: is required, and is missing");
  EXPECT_EQ(parse_policies("[]", "p").error().message, "p:1: a MirrorPolicy must be a map, not a list");
}

}  // namespace
}  // namespace cistern::model
