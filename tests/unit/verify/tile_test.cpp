#include "cache-agent/verify/tile.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "cache-agent/verify/note.hpp"
#include "cache-agent/verify/tile_reading.hpp"
#include "tests/fakes/sumdb/sumdb.hpp"

namespace cistern::verify {
namespace {

TEST(Tile, HasAPathInGroupsOfThreeDigits) {
  EXPECT_EQ((Tile{0, 0, 256}).path(), "/tile/8/0/000");
  EXPECT_EQ((Tile{4, 1234067, 1}).path(), "/tile/8/4/x001/x234/067.p/1");
  EXPECT_EQ((Tile{Tile::kData, 999, 255}).path(), "/tile/8/data/999.p/255");
}

TEST(Tile, IsReadFromItsPath) {
  for (const Tile& tile : {Tile{0, 0, 256}, Tile{4, 1234067, 1}, Tile{Tile::kData, 999, 255}, Tile{1, 1000, 256}, Tile{7, 0, 127}}) {
    const auto parsed = Tile::parse(tile.path());
    ASSERT_TRUE(parsed) << tile.path();
    EXPECT_EQ(*parsed, tile);
  }
}

TEST(Tile, IsNotFoundUnderAnyOtherPath) {
  for (const std::string bad : {"",
                                "/tile/8/0",
                                "/tile/8/0/",
                                "/tile/8/0/0",
                                "/tile/8/0/00",
                                "/tile/8/0/0000",
                                "/tile/9/0/000",
                                "/tile/08/0/000",
                                "tile/8/0/000",
                                "/tile/8/-1/000",
                                "/tile/8/8/000",
                                "/tile/8/00/000",
                                "/tile/8/0/x000/001",
                                "/tile/8/0/001/002",
                                "/tile/8/0/x001",
                                "/tile/8/0/000.p/0",
                                "/tile/8/0/000.p/256",
                                "/tile/8/0/000.p/01",
                                "/tile/8/0/000.p/",
                                "/tile/8/0/000.p",
                                "/tile/8/0/000.p/1/2",
                                "/tile/8/0/+01",
                                "/tile/8/0/000/",
                                "/tile/8/0/../000",
                                "/tile/8/DATA/000",
                                "/tile/8/7/000",
                                "/tile/8/0/x999/x999/x999/x999/x999/x999/999",
                                "/tile/8/6/x999/x999/999"}) {
    const auto parsed = Tile::parse(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::kNotFound);
  }
}

TEST(Tile, KnowsWhichLogHasIt) {
  EXPECT_EQ((Tile{0, 0, 1}).records(), 1U);
  EXPECT_EQ((Tile{Tile::kData, 1, 256}).records(), 512U);
  EXPECT_EQ((Tile{1, 0, 3}).records(), 768U);
  EXPECT_EQ((Tile{2, 1, 2}).records(), std::uint64_t{258} << 16);
}

TEST(Tile, IsAsWideAsTheLogAllows) {
  EXPECT_EQ(tile_of({0, 5}, 6), (Tile{0, 0, 6}));
  EXPECT_EQ(tile_of({3, 31}, 300), (Tile{0, 0, 256}));
  EXPECT_EQ(tile_of({8, 0}, 300), (Tile{1, 0, 1}));
  EXPECT_EQ(tile_of({0, 299}, 300), (Tile{0, 1, 44}));
  EXPECT_EQ(tile_of({8, 256}, 300).width, 0U);
}

// A log of which every earlier state can be asked.
class ReadingAtBorders : public testing::TestWithParam<std::uint64_t> {
 protected:
  static const fakes::SumDb& database() {
    static const std::unique_ptr<fakes::SumDb> made = [] {
      auto filled = std::make_unique<fakes::SumDb>();
      filled->add_filler(65536 + 300);
      return filled;
    }();
    return *made;
  }
  static Tree at(std::uint64_t size) {
    static const VerifierKey key = VerifierKey::parse(database().verifier_key()).value();
    return parse_tree(open_note(database().head(size), key).value()).value();
  }
  static std::vector<std::string> contents(const TileReading& reading) {
    std::vector<std::string> all;
    for (const Tile& tile : reading.tiles()) all.push_back(database().serve(tile.path()).value());
    return all;
  }
  static std::string text(std::uint64_t id) { return fmt::format("filler.test/m v0.0.{} h1:filler=\n", id); }
};

TEST_P(ReadingAtBorders, ProvesTheFirstTheLastAndTheMiddleRecord) {
  const Tree tree = at(GetParam());
  for (const std::uint64_t id : {std::uint64_t{0}, tree.size / 2, tree.size - 1}) {
    const auto reading = TileReading::plan(tree, {Node{0, id}});
    ASSERT_TRUE(reading);
    const auto hashes = reading->authenticate(contents(*reading));
    ASSERT_TRUE(hashes) << hashes.error().message;
    EXPECT_EQ(hashes->front(), leaf_hash(text(id))) << id;
  }
}

TEST_P(ReadingAtBorders, RebuildsTheRootsOfEarlierLogs) {
  const Tree tree = at(GetParam());
  for (const std::uint64_t size : {0, 1, 2, 255, 256, 257, 511, 4096, 65535, 65536, 65537}) {
    if (size > tree.size) continue;
    const auto reading = TileReading::plan(tree, subtrees(size));
    ASSERT_TRUE(reading);
    const auto hashes = reading->authenticate(contents(*reading));
    ASSERT_TRUE(hashes) << hashes.error().message;
    EXPECT_EQ(root_of_subtrees(*hashes), at(size).root) << size;
  }
}

TEST_P(ReadingAtBorders, RefusesAChangedByteInAnyTile) {
  const Tree tree = at(GetParam());
  const auto reading = TileReading::plan(tree, {Node{0, 0}, Node{0, tree.size - 1}}).value();
  auto all = contents(reading);
  for (std::string& tile : all) {
    for (const std::size_t position : {std::size_t{0}, tile.size() / 2, tile.size() - 1}) {
      tile[position] ^= 1;
      const auto hashes = reading.authenticate(all);
      ASSERT_FALSE(hashes);
      EXPECT_EQ(hashes.error().code, ErrorCode::kCorrupt);
      tile[position] ^= 1;
    }
  }
}

TEST_P(ReadingAtBorders, RefusesTilesOfTheWrongLength) {
  const Tree tree = at(GetParam());
  const auto reading = TileReading::plan(tree, {Node{0, 0}}).value();
  for (std::size_t i = 0; i < reading.tiles().size(); ++i) {
    auto all = contents(reading);
    all[i].pop_back();
    EXPECT_FALSE(reading.authenticate(all));
    all[i] += "xy";
    EXPECT_FALSE(reading.authenticate(all));
    all[i].clear();
    EXPECT_FALSE(reading.authenticate(all));
  }
}

TEST_P(ReadingAtBorders, RefusesNodesThatTheLogDoesNotHave) {
  const Tree tree = at(GetParam());
  EXPECT_FALSE(TileReading::plan(tree, {Node{0, tree.size}}));
  EXPECT_FALSE(TileReading::plan(tree, {Node{20, 0}}));
  EXPECT_FALSE(TileReading::plan(tree, {Node{0, ~std::uint64_t{0}}}));
  EXPECT_FALSE(TileReading::plan(tree, {Node{64, 0}}));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ReadingAtBorders,
                         testing::Values(1, 2, 255, 256, 257, 511, 512, 65535, 65536, 65537, 65536 + 256, 65536 + 257));

TEST(Reading, OfALogOfTheLargestSizeIsPlanned) {
  const Tree tree{(std::uint64_t{1} << 63) - 1, {}};
  const auto reading = TileReading::plan(tree, {Node{0, tree.size - 1}, Node{0, 0}});
  ASSERT_TRUE(reading);
  EXPECT_LE(reading->tiles().size(), 16U);
}

TEST(Reading, OfALogWithoutRecordsNeedsNoTiles) {
  const auto reading = TileReading::plan(Tree{}, {}).value();
  EXPECT_TRUE(reading.tiles().empty());
  EXPECT_TRUE(reading.authenticate({}));
}

}  // namespace
}  // namespace cistern::verify
