// SumDb over a database that behaves.
#include "cache-agent/verify/sumdb.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/verify/scripted_source.hpp"

namespace cistern::verify {
namespace {

using testing::EndsWith;

TEST(SumDb, GivesTheHashesOfAModule) {
  World world(300);
  world.add("example.org/m");
  EXPECT_EQ(world.hash("example.org/m").value(), "h1:zip-of-example.org/m");
  EXPECT_EQ(world.hash("example.org/m", "v1.0.0", true).value(), "h1:mod-of-example.org/m");
  EXPECT_EQ(world.source.fetches("/lookup/example.org/m@v1.0.0"), 1);
}

TEST(SumDb, EscapesUpperCaseWhenItAsks) {
  World world;
  world.add("example.org/BigModule", "v1.0.0-RC1");
  EXPECT_TRUE(world.hash("example.org/BigModule", "v1.0.0-RC1"));
  EXPECT_EQ(world.source.fetches("/lookup/example.org/!big!module@v1.0.0-!r!c1"), 1);
}

TEST(SumDb, DoesNotAskForWhatIsNoModule) {
  World world;
  for (const std::string module : {"", "/", "a//b", "../a", "a/..", "a@b", "a!b", "a b", "a\nb", "a%2fb", "caf\u00e9"}) {
    const auto hash = world.hash(module);
    ASSERT_FALSE(hash) << module;
    EXPECT_EQ(hash.error().code, ErrorCode::kInvalid);
  }
  EXPECT_FALSE(world.hash("a", "v1/go.mod"));
  EXPECT_FALSE(world.hash("a", ""));
  EXPECT_EQ(world.source.fetches(), 0);
}

TEST(SumDb, PassesOnThatAModuleIsUnknown) {
  World world(10);
  EXPECT_EQ(world.hash("example.org/unknown").error().code, ErrorCode::kNotFound);
}

TEST(SumDb, PassesOnThatTheDatabaseCanNotBeReached) {
  World world(10);
  world.source.go_down();
  EXPECT_EQ(world.hash("example.org/m").error().code, ErrorCode::kUpstream);
  EXPECT_EQ(world.latest().error().code, ErrorCode::kUpstream);
  EXPECT_EQ(world.tile("/tile/8/0/000.p/10").error().code, ErrorCode::kUpstream);
}

TEST(SumDb, ServesALookupAsTheRecordAndTheNewestHead) {
  World world(300);
  world.add("example.org/old");
  ASSERT_TRUE(world.lookup("example.org/old"));
  world.database.add_filler(500);
  world.add("example.org/new");
  ASSERT_TRUE(world.lookup("example.org/new"));
  const std::string text =
      "300\nexample.org/old v1.0.0 h1:zip-of-example.org/old\nexample.org/old v1.0.0/go.mod h1:mod-of-example.org/old\n\n";
  EXPECT_EQ(world.lookup("example.org/old").value(), text + world.database.head(802));
}

TEST(SumDb, AsksOnlyOnceForALookup) {
  World world(10);
  world.add("example.org/m");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(world.lookup("example.org/m"));
  EXPECT_EQ(world.source.fetches("/lookup/example.org/m@v1.0.0"), 1);
  world.restart();
  EXPECT_TRUE(world.lookup("example.org/m"));
  EXPECT_EQ(world.source.fetches("/lookup/example.org/m@v1.0.0"), 1);
}

TEST(SumDb, KeepsTheNewestHeadThroughARestart) {
  World world(10);
  world.add("example.org/m");
  ASSERT_TRUE(world.lookup("example.org/m"));
  EXPECT_THAT(world.source.heads(), testing::ElementsAre(world.database.head(11)));
  world.restart();
  world.source.go_down();
  EXPECT_EQ(world.latest().value(), world.database.head(11));
}

TEST(SumDb, NeverGoesBackWhenALookupOrLatestCarriesAnOlderHead) {
  World world(300);
  world.add("example.org/a");
  world.add("example.org/b");
  ASSERT_EQ(world.latest().value(), world.database.head(302));
  world.database.pin_lookup_head(301);
  world.database.pin_latest_head(5);
  EXPECT_THAT(world.lookup("example.org/a").value(), EndsWith(world.database.head(302)));
  world.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(world.latest().value(), world.database.head(302));
  EXPECT_EQ(world.source.heads().size(), 1U);
}

TEST(SumDb, MovesOnWhenALookupCarriesANewerHeadThanLatest) {
  World world(300);
  world.database.pin_latest_head(200);
  ASSERT_EQ(world.latest().value(), world.database.head(200));
  world.add("example.org/m");
  EXPECT_THAT(world.lookup("example.org/m").value(), EndsWith(world.database.head(301)));
  world.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(world.latest().value(), world.database.head(301));
}

TEST(SumDb, AsksForTheLatestHeadOnceInItsTimeToLive) {
  World world(10);
  EXPECT_TRUE(world.latest());
  world.database.add_filler(5);
  EXPECT_EQ(world.latest().value(), world.database.head(10));
  EXPECT_EQ(world.source.fetches("/latest"), 1);
  world.clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(world.latest().value(), world.database.head(15));
}

TEST(SumDb, GivesTheKnownHeadWhileTheDatabaseIsAway) {
  World world(10);
  ASSERT_TRUE(world.latest());
  world.clock.advance(std::chrono::hours(1));
  world.source.go_down();
  EXPECT_EQ(world.latest().value(), world.database.head(10));
  world.clock.advance(std::chrono::hours(1));
  world.source.come_up();
  world.source.replace("/latest", "<html>captive portal</html>");
  EXPECT_EQ(world.latest().value(), world.database.head(10));
}

// The reason for keeping frontiers: a fresh client needs nothing that was not kept.
class FreshClient : public testing::TestWithParam<std::uint64_t> {};

TEST_P(FreshClient, IsServedWithoutTheDatabaseWhateverTheHeadWasWhenTheRecordWasRead) {
  World world(GetParam());
  world.add("example.org/first");
  ASSERT_TRUE(world.lookup("example.org/first"));
  world.database.add_filler(GetParam() / 3 + 7);
  world.add("example.org/second");
  ASSERT_TRUE(world.lookup("example.org/second"));
  world.database.add_filler(600);
  world.clock.advance(std::chrono::hours(1));
  ASSERT_EQ(world.latest().value(), world.database.head(world.database.size()));
  world.restart();
  world.source.go_down();

  ProxiedSource proxied(*world.client);
  SumDb::Settings settings;
  settings.key = world.database.verifier_key();
  const auto go = SumDb::create(settings, proxied, world.clock).value();
  for (const std::string module : {"example.org/first", "example.org/second"}) {
    const auto hash = run(go->hash_of(module, "v1.0.0", false));
    ASSERT_TRUE(hash) << hash.error().message;
    EXPECT_EQ(*hash, "h1:zip-of-" + module);
  }
  EXPECT_EQ(proxied.head, world.database.head(world.database.size()));
}

TEST_P(FreshClient, WithAnOlderHeadFindsItInTheServedOne) {
  World world(GetParam());
  world.add("example.org/first");
  ProxiedSource proxied(*world.client);
  SumDb::Settings settings;
  settings.key = world.database.verifier_key();
  settings.head = world.database.head(GetParam() / 2 + 1);
  const auto go = SumDb::create(settings, proxied, world.clock).value();
  world.database.add_filler(400);
  EXPECT_TRUE(run(go->hash_of("example.org/first", "v1.0.0", false)));
  EXPECT_EQ(proxied.head, world.database.head(world.database.size()));
}

INSTANTIATE_TEST_SUITE_P(Sizes, FreshClient, testing::Values(0, 1, 254, 255, 256, 257, 1000, 65534, 65535, 65536, 65600));

TEST(SumDb, CutsNarrowTilesFromWiderOnes) {
  World world(300);
  ASSERT_TRUE(world.latest());
  const std::string whole = world.database.serve("/tile/8/0/000").value();
  world.database.drop_narrow_tiles(true);
  for (const unsigned width : {1U, 44U, 255U}) {
    EXPECT_EQ(world.tile("/tile/8/0/000.p/" + std::to_string(width)).value(), whole.substr(0, width * 32));
  }
  EXPECT_EQ(world.tile("/tile/8/0/000").value(), whole);
  EXPECT_EQ(world.tile("/tile/8/0/001.p/40").value(), world.database.serve("/tile/8/0/001.p/44").value().substr(0, 40 * 32));
  EXPECT_EQ(world.source.fetches("/tile/8/0/000"), 1);
}

TEST(SumDb, ReadsTheCompleteTileWhereTheNarrowOneIsGone) {
  World world(300);
  const std::string head = world.database.head(300);
  world.add("example.org/m");
  world.database.pin_lookup_head(301);
  world.database.pin_latest_head(300);
  world.database.add_filler(300);
  world.database.drop_narrow_tiles(true);
  EXPECT_EQ(world.latest().value(), head);
  EXPECT_TRUE(world.hash("example.org/m"));
  EXPECT_GT(world.source.fetches("/tile/8/0/001"), 0);
  EXPECT_FALSE(world.source.kept_answers().contains("/tile/8/0/001")) << "only its beginning is proven";
}

TEST(SumDb, RefreshesItsHeadForTilesBeyondIt) {
  World world(300);
  ASSERT_TRUE(world.latest());
  world.database.add_filler(300);
  world.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(world.tile("/tile/8/0/001").value(), world.database.serve("/tile/8/0/001").value());
  EXPECT_EQ(world.source.heads().back(), world.database.head(600));
  EXPECT_TRUE(world.source.kept_answers().contains("/tile/8/0/001"));
}

TEST(SumDb, PassesTilesBeyondTheNewestHeadThroughWithoutKeepingThem) {
  World world(300);
  world.database.pin_latest_head(300);
  ASSERT_TRUE(world.latest());
  world.database.add_filler(300);
  EXPECT_EQ(world.tile("/tile/8/0/001").value(), world.database.serve("/tile/8/0/001").value());
  EXPECT_FALSE(world.source.kept_answers().contains("/tile/8/0/001"));
  EXPECT_EQ(world.tile("/tile/8/0/x999/999").error().code, ErrorCode::kNotFound);
}

TEST(SumDb, ServesDataTilesThatMatchTheLog) {
  World world(300);
  ASSERT_TRUE(world.latest());
  EXPECT_EQ(world.tile("/tile/8/data/001.p/44").value(), world.database.serve("/tile/8/data/001.p/44").value());
  world.database.drop_narrow_tiles(true);
  EXPECT_EQ(world.tile("/tile/8/data/000.p/3").value(),
            world.database.serve("/tile/8/data/000").value().substr(0, world.tile("/tile/8/data/000.p/3")->size()));
  world.source.change("/tile/8/data/000", [](Result<std::string> body) {
    body->replace(0, 1, "F");
    return body;
  });
  EXPECT_EQ(world.tile("/tile/8/data/000").error().code, ErrorCode::kCorrupt);
  world.source.go_down();
  EXPECT_TRUE(world.tile("/tile/8/data/001.p/44"));
}

TEST(SumDb, DoesNotKnowMalformedTiles) {
  World world(300);
  EXPECT_EQ(world.tile("/tile/8/0/0").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(world.source.fetches(), 0);
}

TEST(SumDb, TakesALostHeadFromWhatItKept) {
  World world(300);
  world.add("example.org/m");
  ASSERT_TRUE(world.lookup("example.org/m"));
  SumDb::Settings settings;
  settings.key = world.database.verifier_key();
  world.client = SumDb::create(settings, world.source, world.clock).value();
  world.source.go_down();
  EXPECT_THAT(world.lookup("example.org/m").value(), EndsWith(world.database.head(301)));
}

TEST(SumDb, IsNotMadeOfABadKeyOrAForeignHead) {
  World world;
  SumDb::Settings settings;
  settings.key = "sum.test+00000000+AAAA";
  EXPECT_EQ(SumDb::create(settings, world.source, world.clock).error().code, ErrorCode::kInvalid);
  settings.key = world.database.verifier_key();
  settings.head = fakes::SumDb("sum.test", "another key").head(0);
  EXPECT_EQ(SumDb::create(settings, world.source, world.clock).error().code, ErrorCode::kCorrupt);
}

TEST(SumDb, WorksWithNearlyNoMemory) {
  World world(1000);
  SumDb::Settings settings;
  settings.key = world.database.verifier_key();
  settings.memory = Bytes{100};
  world.client = SumDb::create(settings, world.source, world.clock).value();
  world.add("example.org/m");
  EXPECT_TRUE(world.hash("example.org/m"));
  EXPECT_TRUE(world.tile("/tile/8/0/002"));
}

}  // namespace
}  // namespace cistern::verify
