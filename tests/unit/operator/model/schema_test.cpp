// The CRD's schema says what the model says.
#include <gtest/gtest.h>

#include "operator/model/merge.hpp"
#include "operator/model/parse.hpp"
#include "operator/model/schema.hpp"
#include "operator/model/validate.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::model {
namespace {

const Json& root_schema() {
  static const Json kCrd = custom_resource_definition();
  static const Json kRoot = kCrd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
  return kRoot;
}

// The schema of a field, by names and [] for a list's items.
const Json& schema_at(const std::vector<std::string>& steps) {
  const Json* at = &root_schema()["properties"]["spec"];
  for (const auto& step : steps) {
    at = step == "[]" ? &at->at("items") : step == "*" ? &at->at("additionalProperties") : &at->at("properties").at(step);
  }
  return *at;
}

template <class Visit>
void visit_all(const Json& schema, const Visit& visit) {
  visit(schema);
  if (schema.contains("properties")) {
    for (const auto& item : schema["properties"].items()) visit_all(item.value(), visit);
  }
  for (const auto* below : {"items", "additionalProperties"}) {
    if (schema.contains(below)) visit_all(schema[below], visit);
  }
}

// As the API server fills them in.
void fill_defaults(const Json& schema, Json& value) {
  if (value.is_object() && schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) {
      if (!value.contains(name) && property.contains("default")) value[name] = property["default"];
      if (value.contains(name)) fill_defaults(property, value[name]);
    }
  } else if (value.is_object() && schema.contains("additionalProperties")) {
    for (auto& item : value.items()) fill_defaults(schema["additionalProperties"], item.value());
  } else if (value.is_array() && schema.contains("items")) {
    for (auto& item : value) fill_defaults(schema["items"], item);
  }
}

Policy parsed(const Json& spec) {
  auto policy = from_json({{"apiVersion", kApiVersion}, {"kind", kKind}, {"metadata", {{"name", "p"}}}, {"spec", spec}});
  EXPECT_TRUE(policy) << policy.error().message;
  return policy ? *policy : Policy{};
}

TEST(Schema, the_file_in_crds_is_what_the_model_makes) {
  EXPECT_EQ(fakes::read_file(fakes::source_folder() / "crds/mirrorpolicies.cistern.dev.yaml"), custom_resource_definition_yaml())
      << "write it again: build/bin/cistern-operator crd > crds/mirrorpolicies.cistern.dev.yaml";
}

TEST(Schema, it_is_structural_every_node_has_a_type) {
  visit_all(root_schema(), [](const Json& schema) {
    EXPECT_TRUE(schema.contains("type") || schema.value("x-kubernetes-int-or-string", false)) << schema.dump(2).substr(0, 500);
  });
}

TEST(Schema, sizes_are_bounded_so_that_the_cost_of_rules_is) {
  visit_all(root_schema()["properties"]["spec"], [](const Json& schema) {
    if (schema.value("type", "") == "array") {
      EXPECT_TRUE(schema.contains("maxItems")) << schema.dump();
    }
    if (schema.contains("additionalProperties")) {
      EXPECT_TRUE(schema.contains("maxProperties")) << schema.dump();
    }
    if (schema.value("type", "") == "string") {
      EXPECT_TRUE(schema.contains("maxLength") || schema.contains("enum")) << schema.dump();
    }
  });
}

TEST(Schema, values_in_spec_have_the_defaults_of_the_structs) {
  EXPECT_EQ(schema_at({"retries"})["default"], 3);
  EXPECT_EQ(schema_at({"timeouts", "firstByte"})["default"], "15s");
  EXPECT_EQ(schema_at({"storage", "size"})["default"], "20Gi");
  EXPECT_EQ(schema_at({"storage", "minFree"})["default"], "15%");
  EXPECT_EQ(schema_at({"go", "upstreams", "[]", "match"})["default"], Json::array({"*"}));
  EXPECT_EQ(schema_at({"images", "registries", "[]", "fallbackToSource"})["default"], true);
  EXPECT_EQ(schema_at({"agent", "tolerations"})["default"], Json::array({Json{{"operator", "Exists"}}}));
  EXPECT_EQ(schema_at({"nodeConfig", "maxUnavailable"})["default"], "10%");
}

TEST(Schema, what_is_not_in_force_yet_has_no_default_that_would_be_told_as_written) {
  EXPECT_FALSE(schema_at({"storage", "onDelete"}).contains("default"));
  EXPECT_FALSE(schema_at({"nodeConfig", "mode"}).contains("default"));
  EXPECT_FALSE(schema_at({"nodeConfig", "runtimes"}).contains("default"));
}

TEST(Schema, no_map_has_a_default_that_nobody_wrote) {
  visit_all(root_schema(), [](const Json& schema) {
    if (schema.value("type", "") == "object") {
      EXPECT_FALSE(schema.contains("default")) << schema.dump();
    }
  });
}

TEST(Schema, defaults_change_nothing_of_what_a_policy_means) {
  const Json spec = Json::parse(R"({
    "go": {"upstreams": [{"url": "https://a", "rollout": {}}], "sumDB": {}, "freshness": {}},
    "images": {"registries": [{"name": "r", "upstreams": [{"url": "https://b"}]}]},
    "timeouts": {}, "breaker": {}, "rateLimit": {}, "storage": {}, "injection": {}, "nodeConfig": {}, "prefetch": {}, "peers": {},
    "agent": {}, "region": {}, "profile": {},
    "regions": {"cn": {"images": {"registries": [{"name": "r", "tagTTL": "1m"}]}}}, "profiles": {"dev": {"storage": {}}}})");
  Json filled = spec;
  fill_defaults(root_schema()["properties"]["spec"], filled);
  EXPECT_NE(filled, spec);
  EXPECT_EQ(filled["regions"], spec["regions"]);
  const Policy with = parsed(filled);
  const Policy without = parsed(spec);
  EXPECT_EQ(with.spec.settings, without.spec.settings);
  EXPECT_EQ(with.spec.region, without.spec.region);
  EXPECT_EQ(with.spec.profile, without.spec.profile);
  yaml::Problems problems;
  for (const auto* region : {"", "cn"}) {
    for (const auto* profile : {"", "dev"}) {
      EXPECT_EQ(effective(with, region, profile, problems).settings, effective(without, region, profile, problems).settings);
    }
  }
  EXPECT_TRUE(problems.empty());
}

TEST(Schema, overlays_have_no_defaults_and_need_nothing_but_registries_names) {
  for (const auto* overlays : {"regions", "profiles"}) {
    visit_all(schema_at({overlays, "*"}), [](const Json& schema) { EXPECT_FALSE(schema.contains("default")) << schema.dump(); });
    std::vector<Json> required;
    visit_all(schema_at({overlays, "*"}), [&](const Json& schema) {
      if (schema.contains("required")) required.push_back(schema["required"]);
    });
    EXPECT_EQ(required, std::vector<Json>{Json::array({"name"})}) << overlays;
  }
}

TEST(Schema, a_region_lacks_what_only_a_profile_may_set) {
  for (const auto path : kNotInRegions) {
    const auto dot = path.find('.');
    std::vector<std::string> steps{"profiles", "*", std::string(path.substr(0, dot))};
    if (dot != std::string_view::npos) steps.emplace_back(path.substr(dot + 1));
    EXPECT_NO_THROW(schema_at(steps)) << path;
    steps[0] = "regions";
    EXPECT_THROW(schema_at(steps), Json::out_of_range) << path;
  }
}

TEST(Schema, registries_are_a_map_by_name) {
  for (const auto& steps : {std::vector<std::string>{"images", "registries"}, {"regions", "*", "images", "registries"}}) {
    EXPECT_EQ(schema_at(steps)["x-kubernetes-list-type"], "map");
    EXPECT_EQ(schema_at(steps)["x-kubernetes-list-map-keys"], Json::array({"name"}));
  }
}

TEST(Schema, every_field_of_spec_and_status_is_described) {
  for (const auto* part : {"spec", "status"}) {
    for (const auto& [name, property] : root_schema()["properties"][part]["properties"].items()) {
      EXPECT_FALSE(property.value("description", "").empty()) << part << "." << name;
    }
  }
}

}  // namespace
}  // namespace cistern::model
