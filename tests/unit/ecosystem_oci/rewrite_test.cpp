#include "cache-agent/ecosystem/oci/rewrite.hpp"

#include <gtest/gtest.h>

namespace cistern::oci {
namespace {

TEST(OciRewrite, TheFirstPatternThatMatchesCounts) {
  const auto rewriter = Rewriter::make({{"^coredns/(.*)$", "google_containers/\\1"}, {"^core.*$", "never"}, {"^([^/]+)$", "library/\\1"}});
  ASSERT_TRUE(rewriter);
  EXPECT_EQ(rewriter->apply("coredns/coredns").value(), "google_containers/coredns");
  EXPECT_EQ(rewriter->apply("pause").value(), "library/pause");
  EXPECT_EQ(rewriter->apply("other/app").value(), "other/app");
}

// registry.k8s.io on a mirror that has one level of names.
TEST(OciRewrite, FlattensARegistrysNames) {
  const auto rewriter =
      Rewriter::make({{"^coredns/coredns$", "google_containers/coredns"}, {"^(?:.+/)?([^/]+)$", "google_containers/\\1"}});
  ASSERT_TRUE(rewriter);
  EXPECT_EQ(rewriter->apply("coredns/coredns").value(), "google_containers/coredns");
  EXPECT_EQ(rewriter->apply("pause").value(), "google_containers/pause");
  EXPECT_EQ(rewriter->apply("kube-apiserver").value(), "google_containers/kube-apiserver");
  EXPECT_EQ(rewriter->apply("ingress-nginx/controller").value(), "google_containers/controller");
  EXPECT_EQ(rewriter->apply("e2e-test-images/sample/apiserver").value(), "google_containers/apiserver");
}

TEST(OciRewrite, WithoutRulesTheNameStays) { EXPECT_EQ(Rewriter::make({})->apply("a/b").value(), "a/b"); }

TEST(OciRewrite, OnlyTheMatchIsReplaced) { EXPECT_EQ(Rewriter::make({{"b", "x"}})->apply("a/b/b").value(), "a/x/b"); }

TEST(OciRewrite, BadRulesAreRefused) {
  EXPECT_EQ(Rewriter::make({{"(", "x"}}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Rewriter::make({{"(a)", "\\2"}}).error().code, ErrorCode::kInvalid);
}

TEST(OciRewrite, AnOutcomeThatIsNoRepositoryIsAnError) {
  const auto rewriter = Rewriter::make({{"^a/(.*)$", "../\\1"}, {"^b$", "B?"}});
  ASSERT_TRUE(rewriter);
  EXPECT_EQ(rewriter->apply("a/x").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(rewriter->apply("b").error().code, ErrorCode::kInvalid);
}

TEST(OciImmutableTags, APatternMatchesTheWholeTag) {
  const auto matcher = TagMatcher::make({"v[0-9]+\\.[0-9]+", "release-.*"});
  ASSERT_TRUE(matcher);
  EXPECT_TRUE(matcher->matches("v1.2"));
  EXPECT_TRUE(matcher->matches("release-x"));
  EXPECT_FALSE(matcher->matches("v1.2.3"));
  EXPECT_FALSE(matcher->matches("latest"));
  EXPECT_FALSE(TagMatcher::make({})->matches("latest"));
  EXPECT_FALSE(TagMatcher::make({"["}));
}

}  // namespace
}  // namespace cistern::oci
