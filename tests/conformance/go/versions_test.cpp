// What versions there are: list, @latest, .info.
#include "go_fixture.hpp"

namespace cistern::conformance {
namespace {

class GoVersions : public GoTest {};

TEST_F(GoVersions, Case1_ListComesWithoutPseudoVersions) {
  upstream.on("/example.com/m/@v/list", Reply{.body = "v1.0.0\nv0.0.0-20240102030405-0123456789ab\nv1.1.0-rc.1\n"});
  start();
  const auto answer = ask("/example.com/m/@v/list");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.body, "v1.0.0\nv1.1.0-rc.1\n");
  EXPECT_EQ(answer.header("Content-Type"), "text/plain; charset=utf-8");
}

TEST_F(GoVersions, ListIsFreshForItsTtlAndAskedForAgainAfterIt) {
  upstream.on("/example.com/m/@v/list", {Reply{.body = "v1.0.0\n"}, Reply{.body = "v1.0.0\nv1.1.0\n"}});
  start();
  EXPECT_EQ(cache_result(ask("/example.com/m/@v/list")), "miss");
  const auto second = ask("/example.com/m/@v/list");
  EXPECT_EQ(cache_result(second), "hit");
  EXPECT_EQ(second.body, "v1.0.0\n");
  EXPECT_TRUE(has_field(second.headers, "Age"));
  EXPECT_EQ(upstream.count(), 1u);
  std::this_thread::sleep_for(kPastTtl);
  EXPECT_EQ(ask("/example.com/m/@v/list").body, "v1.0.0\nv1.1.0\n");
}

TEST_F(GoVersions, Case2_TaglessModuleIsFoundThroughLatest) {
  const auto module = make_module("example.com/tagless", "v0.0.0-20240102030405-0123456789ab");
  upstream.on("/example.com/tagless/@v/list", Reply{.body = ""});
  upstream.on("/example.com/tagless/@latest", Reply{.headers = {{"Content-Type", "application/json"}}, .body = module.info});
  publish(upstream, module);
  start();
  const auto list = ask("/example.com/tagless/@v/list");
  EXPECT_EQ(list.status, 200u);
  EXPECT_EQ(list.body, "");
  const auto latest = ask("/example.com/tagless/@latest");
  EXPECT_EQ(latest.status, 200u);
  EXPECT_EQ(latest.body, module.info);
  EXPECT_EQ(latest.header("Content-Type"), "application/json");
  EXPECT_EQ(ask(module.target(".zip")).body, module.zip);
}

TEST_F(GoVersions, AMissingLatestIsPassedOnAsNotFound) {
  upstream.on("/example.com/m/@latest", Reply{.status = 410, .body = "gone"});
  start();
  EXPECT_EQ(ask("/example.com/m/@latest").status, 410u);
}

TEST_F(GoVersions, Case3_BranchInfoKeepsItsBytesAndIsBelievedForAShortTime) {
  const auto first = make_module("example.com/m", "v0.0.0-20240102030405-0123456789ab");
  const auto second = make_module("example.com/m", "v0.0.0-20240202030405-ba9876543210");
  upstream.on("/example.com/m/@v/master.info", {Reply{.body = first.info}, Reply{.body = second.info}});
  start();
  EXPECT_EQ(ask("/example.com/m/@v/master.info").body, first.info) << "Origin must survive";
  EXPECT_EQ(ask("/example.com/m/@v/master.info").body, first.info);
  EXPECT_EQ(upstream.count(), 1u);
  std::this_thread::sleep_for(kPastTtl);
  EXPECT_EQ(ask("/example.com/m/@v/master.info").body, second.info);
}

TEST_F(GoVersions, InfoOfACanonicalVersionIsImmutable) {
  const auto module = make_module("example.com/m", "v1.2.3");
  publish(upstream, module);
  start();
  EXPECT_EQ(ask(module.target(".info")).body, module.info);
  std::this_thread::sleep_for(kPastTtl);
  EXPECT_EQ(cache_result(ask(module.target(".info"))), "hit");
  EXPECT_EQ(upstream.count(), 1u);
}

TEST_F(GoVersions, InfoThatAnswersWithAnotherVersionIsAnError) {
  upstream.on("/example.com/m/@v/v1.2.3.info", Reply{.body = make_module("example.com/m", "v1.2.4").info});
  start();
  EXPECT_EQ(ask("/example.com/m/@v/v1.2.3.info").status, 502u);
}

TEST_F(GoVersions, FilesOfANonCanonicalVersionAreNotFoundWithoutAskingAnyone) {
  start();
  for (const auto* target : {"/example.com/m/@v/master.mod", "/example.com/m/@v/master.zip", "/example.com/m/@v/v1.zip"}) {
    EXPECT_EQ(ask(target).status, 404u) << target;
  }
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(GoVersions, Case4_BadEscapesNeverReachAnUpstream) {
  start();
  for (const auto* target :
       {"/github.com/BurntSushi/toml/@v/list", "/github.com/!!burnt/toml/@v/list", "/github.com/burnt!/toml/@v/list",
        "/github.com/!Burnt/toml/@v/list", "/github.com/../toml/@v/list", "/github.com/%2e%2e/toml/@v/list", "/github.com/%2E/toml/@v/list",
        "/github.com//toml/@v/list", "/github.com/burnt%2Ftoml/@v/list", "/github.com/%2521burnt/toml/@v/list",
        "/github.com/burnt/toml/@v/V1.0.0.info", "/github.com/burnt/toml/@v/..%2fx.info", "/github.com/burnt/toml/@v/.info",
        "/github.com/burnt/toml/@v/", "//@v/list", "/@latest", "/github.com/%42urnt/toml/@v/list", "/github.com/bu%00rnt/toml/@v/list",
        "/github.com/bu%zzrnt/toml/@v/list"}) {
    EXPECT_EQ(ask(target).status, 404u) << target;
  }
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(GoVersions, AnEscapedBangIsTheSameKeyAsARawOne) {
  const auto module = make_module("github.com/BurntSushi/toml", "v1.0.0-RC1");
  publish(upstream, module);
  start();
  const auto encoded = ask("/github.com/%21burnt%21sushi/toml/@v/v1.0.0-%21r%21c1.mod");
  EXPECT_EQ(encoded.status, 200u);
  EXPECT_EQ(encoded.body, module.mod);
  const auto raw = ask("/github.com/!burnt!sushi/toml/@v/v1.0.0-!r!c1.mod");
  EXPECT_EQ(cache_result(raw), "hit");
  EXPECT_EQ(raw.body, module.mod);
  ASSERT_EQ(upstream.count(), 1u);
  EXPECT_EQ(upstream.asked()[0].path(), "/github.com/!burnt!sushi/toml/@v/v1.0.0-!r!c1.mod");
}

}  // namespace
}  // namespace cistern::conformance
