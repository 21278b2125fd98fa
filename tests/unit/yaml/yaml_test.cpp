#include <gtest/gtest.h>

#include "yaml/node.hpp"
#include "yaml/problems.hpp"

namespace cistern::yaml {
namespace {

TEST(Parse, scalars_follow_the_core_schema) {
  const auto documents = parse("{a: Off, b: yes, c: true, d: \"true\", e: 12, f: 1.5, g: 1m, h: ~, i: 0x1f, j: -3, k: .inf, l: ''}", "f");
  ASSERT_TRUE(documents) << documents.error().message;
  EXPECT_EQ(to_json(documents->front()), Json::parse(R"({"a": "Off", "b": "yes", "c": true, "d": "true", "e": 12, "f": 1.5, "g": "1m",
                                                         "h": null, "i": "0x1f", "j": -3, "k": ".inf", "l": ""})"));
}

TEST(Parse, documents_without_content_are_passed_over) {
  const auto documents = parse("---\n# nothing\n---\na: 1\n---\n", "f");
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 1U);
  EXPECT_EQ(documents->front().children[0].position.to_string(), "f:4");
}

TEST(Parse, aliases_stand_for_what_they_name) {
  const auto documents = parse("a: &x {k: 1}\nb: *x\n", "f");
  ASSERT_TRUE(documents);
  EXPECT_EQ(to_json(documents->front()), Json::parse(R"({"a": {"k": 1}, "b": {"k": 1}})"));
}

TEST(Parse, an_alias_of_itself_is_refused) { EXPECT_FALSE(parse("a: &x [*x]\n", "f")); }

TEST(Emit, what_is_written_reads_as_the_same) {
  const Json json = {{"words",
                      {"Off",
                       "yes",
                       "null",
                       "~",
                       "12",
                       "1.5",
                       "1m",
                       "15%",
                       "20Gi",
                       "",
                       "a: b",
                       "a #b",
                       "-",
                       "*x",
                       "&x",
                       "[a]",
                       "{",
                       "'",
                       "\"",
                       "\\1",
                       "http://h:1/p",
                       "127.0.0.1:5050",
                       " lead",
                       "trail ",
                       "line\nbreak",
                       "tab\t",
                       "\xC3\xA4",
                       "key:",
                       "0x1",
                       "@a",
                       "`",
                       "!t",
                       "%p",
                       "y",
                       "N"}},
                     {"numbers", {0, -5, 1.5, true, false}},
                     {"empty", {{"list", Json::array()}, {"map", Json::object()}}},
                     {"nested", {{{"a", {1, 2}}, {"b", {{{"c", "d"}}}}}}},
                     {"odd key: #1", "x"}};
  const std::string text = emit(json);
  const auto documents = parse(text, "f");
  ASSERT_TRUE(documents) << documents.error().message << "\n" << text;
  EXPECT_EQ(to_json(documents->front()), json) << text;
}

TEST(Parse, text_that_can_not_begin_a_document_is_refused_and_not_read_for_ever) {
  for (const std::string text : {", a", "a: b\n---\n}", "]", ": a: b: ,"}) {
    const auto documents = parse(text, "f");
    ASSERT_FALSE(documents) << text;
    EXPECT_TRUE(documents.error().message.starts_with("f:")) << documents.error().message;
  }
}

TEST(Emit, words_that_other_readers_take_for_truth_values_are_quoted) {
  EXPECT_EQ(emit({{"mode", "Off"}, {"size", "20Gi"}, {"name", "main"}}), "mode: \"Off\"\nsize: 20Gi\nname: main\n");
}

TEST(NearestNode, follows_a_path_as_far_as_it_exists) {
  const auto documents = parse("a:\n  - b: 1\n    c.d: 2\n", "f");
  ASSERT_TRUE(documents);
  const Node& root = documents->front();
  EXPECT_EQ(nearest_node(root, "a[0].b").position.line, 2);
  EXPECT_EQ(nearest_node(root, "a[0][\"c.d\"]").position.line, 3);
  EXPECT_EQ(nearest_node(root, "a[0].missing.more").position.line, 2);
  EXPECT_EQ(nearest_node(root, "a[7]").position.line, 1);
}

TEST(NearestName, is_near_or_nothing) {
  EXPECT_EQ(nearest_name("upstream", {"upstreams", "url"}), "upstreams");
  EXPECT_EQ(nearest_name("sumdb", {"sumDB", "deny"}), "sumDB");
  EXPECT_EQ(nearest_name("frobnicate", {"upstreams", "url"}), "");
}

}  // namespace
}  // namespace cistern::yaml
