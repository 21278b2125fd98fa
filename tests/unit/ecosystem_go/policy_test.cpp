#include "cache-agent/ecosystem/go/policy.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cistern::go {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

config::Upstream upstream(std::string name, std::vector<std::string> match) {
  config::Upstream result;
  result.name = std::move(name);
  result.match = std::move(match);
  return result;
}

// A public mirror, and one for what is ours.
config::GoView example_view() {
  config::GoView view;
  view.upstreams = {upstream("main", {"*"}), upstream("corp", {"git.corp.example/*"}), upstream("both", {"*", "git.corp.example/shared"})};
  view.private_patterns = {"*.corp.example"};
  view.deny = {"github.com/evil/*", "git.corp.example/secret"};
  view.sumdb.exempt = {"example.com/unlisted"};
  return view;
}

TEST(GoPolicy, APublicModuleIsAskedOfAllThatMatch) {
  const auto result = access(example_view(), "golang.org/x/text");
  EXPECT_FALSE(result.denied);
  EXPECT_FALSE(result.private_module);
  EXPECT_TRUE(result.verify);
  EXPECT_THAT(result.upstreams, ElementsAre(0, 2));
}

TEST(GoPolicy, APrivateModuleIsNeverAskedOfACatchAll) {
  const auto view = example_view();
  EXPECT_THAT(access(view, "git.corp.example/app").upstreams, ElementsAre(1));
  EXPECT_THAT(access(view, "git.corp.example/shared/lib").upstreams, ElementsAre(1, 2));
  EXPECT_TRUE(access(view, "git.corp.example/app").private_module);
  EXPECT_TRUE(access(view, "git.corp.example/app").exempt);
  EXPECT_FALSE(access(view, "git.corp.example/app").verify);
}

TEST(GoPolicy, PublicOnlyPrivateOnlyAndMixedLists) {
  config::GoView only_public;
  only_public.upstreams = {upstream("main", {"*"}), upstream("second", {"*"})};
  EXPECT_THAT(access(only_public, "git.corp.example/app").upstreams, ElementsAre(0, 1)) << "nobody has said that it is private";
  only_public.private_patterns = {"*.corp.example"};
  EXPECT_THAT(access(only_public, "git.corp.example/app").upstreams, IsEmpty()) << "it never leaves";

  config::GoView only_private;
  only_private.upstreams = {upstream("corp", {"*.corp.example"})};
  only_private.private_patterns = {"*.corp.example"};
  EXPECT_THAT(access(only_private, "git.corp.example/app").upstreams, ElementsAre(0));
  EXPECT_THAT(access(only_private, "golang.org/x/text").upstreams, IsEmpty());

  config::GoView mixed = only_private;
  mixed.upstreams.push_back(upstream("main", {"*"}));
  mixed.upstreams.push_back(upstream("canary", {"*"}));
  mixed.upstreams.back().rollout = config::Rollout{100, {}};
  EXPECT_THAT(access(mixed, "git.corp.example/app").upstreams, ElementsAre(0));
  EXPECT_THAT(access(mixed, "golang.org/x/text").upstreams, ElementsAre(1, 2));
}

TEST(GoPolicy, APrivateModuleThatNobodyServesIsNotFound) {
  const auto view = example_view();
  const auto result = allow(view, parse("/wiki.corp.example/x/@v/list").value());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(result.error().message, HasSubstr("private"));
}

TEST(GoPolicy, AModuleThatNoPatternNamesIsNotFound) {
  config::GoView view;
  view.upstreams = {upstream("corp", {"git.corp.example"})};
  const auto result = allow(view, parse("/golang.org/x/text/@latest").value());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
}

TEST(GoPolicy, ADeniedModuleIsForbiddenOnEveryEndpoint) {
  const auto view = example_view();
  for (const char* path : {"/github.com/evil/x/@v/list", "/github.com/evil/x/@latest", "/github.com/evil/x/@v/v1.0.0.info",
                           "/github.com/evil/x/@v/v1.0.0.mod", "/github.com/evil/x/@v/v1.0.0.zip", "/github.com/evil/x/sub/@v/list"}) {
    const auto result = allow(view, parse(path).value());
    ASSERT_FALSE(result) << path;
    EXPECT_EQ(result.error().code, ErrorCode::kForbidden);
    EXPECT_THAT(result.error().message, HasSubstr("github.com/evil/*"));
  }
  const auto lookup = allow_sumdb(view, parse("/sumdb/sum.golang.org/lookup/github.com/evil/x@v1.0.0").value());
  ASSERT_FALSE(lookup);
  EXPECT_EQ(lookup.error().code, ErrorCode::kForbidden);
}

TEST(GoPolicy, DenialBeatsPrivacy) {
  const auto result = access(example_view(), "git.corp.example/secret");
  EXPECT_TRUE(result.denied);
  EXPECT_EQ(result.deny_pattern, "git.corp.example/secret");
  EXPECT_THAT(result.upstreams, IsEmpty());
  const auto lookup = allow_sumdb(example_view(), parse("/sumdb/sum.golang.org/lookup/git.corp.example/secret@v1.0.0").value());
  EXPECT_EQ(lookup.error().code, ErrorCode::kForbidden);
}

TEST(GoPolicy, PatternsMeanTheModuleNotItsEscapedForm) {
  auto view = example_view();
  view.deny = {"github.com/Azure"};
  EXPECT_EQ(allow(view, parse("/github.com/!azure/x/@v/list").value()).error().code, ErrorCode::kForbidden);
  EXPECT_TRUE(allow(view, parse("/github.com/azure/x/@v/list").value()));
}

TEST(GoPolicy, PrivateAndExemptModulesAreNotLookedUp) {
  const auto view = example_view();
  for (const char* module : {"git.corp.example/app", "example.com/unlisted"}) {
    const auto result = allow_sumdb(view, parse(std::string("/sumdb/sum.golang.org/lookup/") + module + "@v1.0.0").value());
    ASSERT_FALSE(result) << module;
    EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  }
  EXPECT_TRUE(access(view, "example.com/unlisted").exempt);
  EXPECT_FALSE(access(view, "example.com/unlisted").verify);
  EXPECT_THAT(access(view, "example.com/unlisted").upstreams, ElementsAre(0, 2));
  EXPECT_TRUE(allow_sumdb(view, parse("/sumdb/sum.golang.org/lookup/golang.org/x/text@v0.3.0").value()));
  EXPECT_TRUE(allow_sumdb(view, parse("/sumdb/sum.golang.org/tile/8/0/001").value()));
  EXPECT_TRUE(allow_sumdb(view, parse("/sumdb/sum.golang.org/supported").value()));
}

TEST(GoPolicy, AnotherDatabaseIsNotFound) {
  const auto result = allow_sumdb(example_view(), parse("/sumdb/sum.other.example/supported").value());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
}

TEST(GoPolicy, TheModeDecidesWhatIsVerified) {
  auto view = example_view();
  view.sumdb.mode = config::SumDbMode::kProxy;
  EXPECT_FALSE(access(view, "golang.org/x/text").verify);
  EXPECT_TRUE(allow_sumdb(view, parse("/sumdb/sum.golang.org/latest").value()));
  view.sumdb.mode = config::SumDbMode::kOff;
  EXPECT_FALSE(access(view, "golang.org/x/text").verify);
  EXPECT_EQ(allow_sumdb(view, parse("/sumdb/sum.golang.org/latest").value()).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace cistern::go
