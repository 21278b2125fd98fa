#include "operator/render/quantity.hpp"

#include <gtest/gtest.h>

namespace cistern::render {
namespace {

using nlohmann::json;

// An API server (1.34) gives each on the right back as it is.
TEST(Quantity, is_written_as_the_api_server_gives_it_back) {
  const std::pair<const char*, const char*> cases[] = {
      {"1000m", "1"},   {"1500m", "1500m"}, {"0.5", "500m"},      {"1", "1"},           {"1.0", "1"},
      {"1000", "1k"},   {"1024Mi", "1Gi"},  {"1000Mi", "1000Mi"}, {"1.5Gi", "1536Mi"},  {"0.5Gi", "512Mi"},
      {"0.5Ki", "512"}, {"1Ki", "1Ki"},     {"1023", "1023"},     {"1024", "1024"},     {"100M", "100M"},
      {"1000M", "1G"},  {"0.0001", "1m"},   {"1u", "1m"},         {"1n", "1m"},         {"1001u", "2m"},
      {"1e3", "1e3"},   {"1E3", "1e3"},     {"10e2", "1e3"},      {"1e-3", "1e-3"},     {"12e1", "120"},
      {"1E", "1E"},     {"1Ei", "1Ei"},     {"0", "0"},           {"0Gi", "0"},         {"+5", "5"},
      {".5", "500m"},   {"5.", "5"},        {"007", "7"},         {"1536Mi", "1536Mi"}, {"0.1Gi", "107374182400m"}};
  for (const auto& [written, canonical] : cases) {
    EXPECT_EQ(canonical_quantity(written), canonical) << written;
    EXPECT_EQ(canonical_quantity(canonical), canonical) << "and stays so";
  }
}

TEST(Quantity, what_is_none_is_left_to_the_api_server) {
  for (const auto* text : {"", "x", "1x", "-1", "1.2.3", "Gi", ".", "1 Gi", "1e", "1e99", "99999999999999999999", "9000Pi1", "16Ei"}) {
    EXPECT_EQ(canonical_quantity(text), text);
  }
}

TEST(Resources, have_their_quantities_in_that_form_numbers_included) {
  const auto resources =
      json::parse(R"({"requests": {"cpu": 2, "memory": "2048Ki"}, "limits": {"cpu": 0.25}, "claims": [{"name": "1000m"}]})");
  EXPECT_EQ(canonical_resources(resources),
            json::parse(R"({"requests": {"cpu": "2", "memory": "2Mi"}, "limits": {"cpu": "250m"}, "claims": [{"name": "1000m"}]})"));
  EXPECT_EQ(canonical_resources(json::object()), json::object());
}

TEST(PodParts, lose_members_that_say_nothing_and_keep_empty_selectors_and_list_elements) {
  EXPECT_EQ(without_empty_members(json::parse(R"([{"key": "", "operator": "Exists", "x": null, "l": [], "s": {}, "v": ["", {"w": ""}]}])")),
            json::parse(R"([{"operator": "Exists", "s": {}, "v": ["", {}]}])"));
}

}  // namespace
}  // namespace cistern::render
