// Files as people write them, cases/NAME.in…, and what becomes of each: cases/NAME.out…, its diff and its remarks in cases/NAME.diff. To
// take what is made now as right: CISTERN_UPDATE_GOLDEN=1.
#include <gtest/gtest.h>

#include <cstdlib>

#include "operator/rewrite/edits.hpp"
#include "operator/rewrite/rewrite.hpp"
#include "tests/fakes/places/places.hpp"
#include "tests/unit/operator/rewrite/mirror.hpp"

namespace cistern::rewrite {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> cases() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(fakes::source_folder() / "tests/unit/operator/rewrite/cases")) {
    if (entry.path().extension() != ".diff") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Rewritten rewritten(const std::string& text, const std::string& file) {
  auto result = rewrite(text, file, kind_of(file, text), test::mirror(), Direction::kToMirror);
  EXPECT_TRUE(result) << result.error().message;
  return result.value_or(Rewritten{text, {}});
}

class RewriteGolden : public testing::TestWithParam<fs::path> {};

TEST_P(RewriteGolden, changes_what_is_recorded_and_nothing_when_done_again) {
  const auto text = fakes::read_file(GetParam());
  ASSERT_FALSE(text.empty());
  const auto name = GetParam().filename().string();
  const auto after = rewritten(text, name);
  auto told = unified_diff(text, after.text, name);
  for (const auto& remark : after.remarks) told += remark + "\n";
  const fs::path recorded = GetParam().string() + ".diff";
  if (std::getenv("CISTERN_UPDATE_GOLDEN") != nullptr) fakes::write_file(recorded, told);
  EXPECT_EQ(told, fakes::read_file(recorded)) << "run with CISTERN_UPDATE_GOLDEN=1 and look at the difference";
  EXPECT_EQ(rewritten(after.text, name).text, after.text);
  // There and back is the same for what was written in full; short names come back in full.
  const auto back = rewrite(after.text, name, kind_of(name, text), test::mirror(), Direction::kBack);
  ASSERT_TRUE(back);
  EXPECT_EQ(rewritten(back->text, name).text, after.text);
}

INSTANTIATE_TEST_SUITE_P(Cases, RewriteGolden, testing::ValuesIn(cases()), [](const auto& test) {
  std::string name = test.param.filename().string();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

TEST(Rewrite, broken_yaml_is_refused_with_its_line) {
  const auto result = rewrite("apiVersion: v1\nkind: Pod\nspec: [\n", "pod.yaml", Kind::kYaml, test::mirror(), Direction::kToMirror);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.substr(0, 30), "pod.yaml:4: not valid YAML: en");
  EXPECT_EQ(rewrite("kind: \xff", "a.yaml", Kind::kYaml, test::mirror(), Direction::kToMirror).error().message,
            "a.yaml: the file is not UTF-8 text");
}

TEST(Rewrite, a_file_is_known_by_its_name_else_by_its_first_instruction) {
  for (const auto* name : {"Dockerfile", "a/b/Dockerfile.dev", "dev.Dockerfile", "Containerfile", "x/dockerfile"}) {
    EXPECT_EQ(kind_of(name, ""), Kind::kDockerfile) << name;
  }
  for (const auto* name : {"compose.yaml", "a.yml", "Dockerfile.yaml", "pod.json"}) EXPECT_EQ(kind_of(name, "FROM x"), Kind::kYaml) << name;
  EXPECT_EQ(kind_of("-", "# syntax=docker/dockerfile:1\n\n  from nginx\n"), Kind::kDockerfile);
  EXPECT_EQ(kind_of("build",
                    "\xEF\xBB\xBF"
                    "ARG A=1\nFROM x\n"),
            Kind::kDockerfile);
  EXPECT_EQ(kind_of("-", "from: nginx\n"), Kind::kYaml);
}

TEST(UnifiedDiff, joins_changes_that_are_near_and_says_where_no_line_break_is) {
  const std::string before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19";
  std::string after = before;
  after.replace(after.find("2\n"), 1, "two");
  after.replace(after.find("8\n"), 1, "eight");
  after.replace(after.find("19"), 2, "nineteen");
  EXPECT_EQ(unified_diff(before, after, "f"),
            "--- a/f\n+++ b/f\n@@ -1,11 +1,11 @@\n 1\n-2\n+two\n 3\n 4\n 5\n 6\n 7\n-8\n+eight\n 9\n 10\n 11\n"
            "@@ -16,4 +16,4 @@\n 16\n 17\n 18\n-19\n\\ No newline at end of file\n+nineteen\n\\ No newline at end of file\n");
  EXPECT_EQ(unified_diff(before, before, "f"), "");
}

}  // namespace
}  // namespace cistern::rewrite
