#include "cache-agent/ecosystem/go/answer.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cistern::go {
namespace {

Request request(const char* path) { return parse(path).value(); }

TEST(GoInfo, ACanonicalRequestIsAnsweredWithItsOwnVersion) {
  const auto info =
      check_info(request("/a.b/c/@v/v1.0.0.info"), R"({"Version":"v1.0.0","Time":"2020-01-02T03:04:05Z","Origin":{"VCS":"git"}})");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->version, "v1.0.0");
  EXPECT_EQ(info->time, "2020-01-02T03:04:05Z");
}

TEST(GoInfo, AnotherVersionThanAskedForIsAnError) {
  const auto info = check_info(request("/a.b/c/@v/v1.0.0.info"), R"({"Version":"v1.0.1"})");
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::kUpstream);
}

TEST(GoInfo, ABranchIsAnsweredWithACanonicalVersion) {
  EXPECT_EQ(check_info(request("/a.b/c/@v/master.info"), R"({"Version":"v0.0.0-20191109021931-daa7c04131f5"})")->version,
            "v0.0.0-20191109021931-daa7c04131f5");
  EXPECT_EQ(check_info(request("/a.b/c/@latest"), R"({"Version":"v1.2.3"})")->version, "v1.2.3");
}

TEST(GoInfo, WhatIsNoInfoIsNonsenseFromTheUpstream) {
  for (const auto& body : std::vector<std::string>{"", "null", "[]", "\"v1.0.0\"", "{}", "{\"Version\":1}", "{\"Version\":\"\"}",
                                                   "{\"Version\":\"master\"}", "{\"Version\":\"v1\"}", "{\"Version\":\"v1.0.0\"",
                                                   "<html></html>", "{\"Version\":\"v1.0.0+meta\"}", "{\"Version\":\"v1.0.0\"} x"}) {
    const auto info = check_info(request("/a.b/c/@latest"), body);
    ASSERT_FALSE(info) << body;
    EXPECT_EQ(info.error().code, ErrorCode::kUpstream) << body;
  }
  EXPECT_FALSE(check_info(request("/a.b/c/@latest"), R"({"Version":"v1.0.0","x":")" + std::string(kMaxInfo.count, 'x') + "\"}"));
  EXPECT_FALSE(check_info(request("/a.b/c/@latest"), std::string(60000, '[')));
}

TEST(GoList, SaneListsArePassedOnAsTheyAre) {
  for (const auto& body : std::vector<std::string>{"", "v1.0.0\n", "v1.0.0\nv1.1.0\n", "v1.0.0\r\nv1.1.0\r\n", "v1.0.0\nv1.1.0",
                                                   "v1.0.0 2020-01-01T00:00:00Z\n", "v2.0.0+incompatible\n"}) {
    EXPECT_EQ(check_list(body).value(), body);
  }
}

TEST(GoList, PseudoVersionsAndOtherLinesAreLeftOut) {
  EXPECT_EQ(check_list("v1.0.0\nv0.0.0-20191109021931-daa7c04131f5\nv1.1.0\n").value(), "v1.0.0\nv1.1.0\n");
  EXPECT_EQ(check_list("v0.0.0-20191109021931-daa7c04131f5\n").value(), "");
  EXPECT_EQ(check_list("\n\nv1.0.0\nlatest\n").value(), "v1.0.0\n");
  EXPECT_EQ(check_list("\n").value(), "");
}

TEST(GoList, WhatHoldsNoVersionIsNonsenseFromTheUpstream) {
  for (const auto& body : std::vector<std::string>{std::string("<html>please log in</html>"), std::string("not found\n"),
                                                   std::string("v1.0.0\n\0", 8), std::string("\x1f\x8b\x08")}) {
    const auto list = check_list(body);
    ASSERT_FALSE(list);
    EXPECT_EQ(list.error().code, ErrorCode::kUpstream);
  }
  EXPECT_FALSE(check_list(std::string(kMaxList.count + 1, '\n')));
}

TEST(GoAnswers, EveryKindHasABound) {
  EXPECT_EQ(size_limit(Request::kZip), mib(500));
  EXPECT_EQ(size_limit(Request::kList), kMaxList);
  EXPECT_EQ(size_limit(Request::kInfo), kMaxInfo);
  EXPECT_EQ(size_limit(Request::kSumDbTile), kMaxTile);
}

}  // namespace
}  // namespace cistern::go
