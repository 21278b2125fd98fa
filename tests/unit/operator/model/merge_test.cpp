#include "operator/model/merge.hpp"

#include <gtest/gtest.h>

namespace cistern::model {
namespace {

struct Case {
  const char* name;
  const char* spec;
  const char* overlay;
  const char* merged;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Merge : public testing::TestWithParam<Case> {};

TEST_P(Merge, gives_what_the_reference_says) {
  const auto spec = yaml::from_json(Json::parse(GetParam().spec));
  const auto overlay = yaml::from_json(Json::parse(GetParam().overlay));
  EXPECT_EQ(yaml::to_json(merge(spec, overlay)), Json::parse(GetParam().merged));
}

const Case kCases[] = {
    {"maps_merge", R"({"go": {"deny": ["a"], "allowDirect": true}})", R"({"go": {"allowDirect": false}})",
     R"({"go": {"deny": ["a"], "allowDirect": false}})"},
    {"lists_replace", R"({"go": {"deny": ["a", "b"]}})", R"({"go": {"deny": ["c"]}})", R"({"go": {"deny": ["c"]}})"},
    {"upstreams_replace", R"({"go": {"upstreams": [{"url": "a", "weight": 2}]}})", R"({"go": {"upstreams": [{"url": "b"}]}})",
     R"({"go": {"upstreams": [{"url": "b"}]}})"},
    {"an_empty_list_removes", R"({"images": {"registries": [{"name": "a"}]}})", R"({"images": {"registries": []}})",
     R"({"images": {"registries": []}})"},
    {"registries_merge_by_name", R"({"images": {"registries": [{"name": "a", "tagTTL": "1m", "upstreams": [1]}, {"name": "b"}]}})",
     R"({"images": {"registries": [{"name": "c"}, {"name": "a", "upstreams": [2]}]}})",
     R"({"images": {"registries": [{"name": "a", "tagTTL": "1m", "upstreams": [2]}, {"name": "b"}, {"name": "c"}]}})"},
    {"new_fields_are_added", R"({})", R"({"retries": 1, "images": {"registries": [{"name": "a"}]}})",
     R"({"retries": 1, "images": {"registries": [{"name": "a"}]}})"},
};

INSTANTIATE_TEST_SUITE_P(Overlays, Merge, testing::ValuesIn(kCases), [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cistern::model
