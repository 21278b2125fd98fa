// SumDb over a database, or a proxy before it, that lies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/verify/scripted_source.hpp"

namespace cistern::verify {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kPath = "/lookup/example.org/m@v1.0.0";

// A world with one module, on which a look-up fails as corrupt, and leaves nothing behind.
class Attack : public testing::Test {
 protected:
  Attack() : world(300) {
    world.add("example.org/m");
    world.database.add_filler(300);
    good = world.database.serve(kPath).value();
  }
  void expect_refused(const std::string& why = "") {
    const auto hash = world.hash("example.org/m");
    ASSERT_FALSE(hash);
    EXPECT_EQ(hash.error().code, ErrorCode::kCorrupt) << hash.error().message;
    EXPECT_THAT(hash.error().message, HasSubstr(why));
    EXPECT_FALSE(world.source.kept_answers().contains(kPath));
    const auto lookup = world.lookup("example.org/m");
    EXPECT_FALSE(lookup);
  }
  std::string replaced(const std::string& what, const std::string& with) const {
    std::string body = good;
    return body.replace(body.find(what), what.size(), with);
  }

  World world;
  std::string good;
};

TEST_F(Attack, WrongSignature) {
  std::string body = good;
  body[body.size() - 10] = body[body.size() - 10] == 'A' ? 'B' : 'A';
  world.source.replace(kPath, body);
  expect_refused("invalid signature");
}

TEST_F(Attack, AnotherKeyOfTheSameName) {
  const fakes::SumDb other("sum.test", "another");
  const std::size_t head = good.find("go.sum database tree");
  world.source.replace(kPath, good.substr(0, head) + other.sign(good.substr(head, good.find("\n\n", head) + 1 - head)));
  expect_refused("no signature by sum.test");
}

TEST_F(Attack, ChangedHead) {
  world.source.replace(kPath, replaced("tree\n601\n", "tree\n602\n"));
  expect_refused("invalid signature");
}

TEST_F(Attack, ChangedRecord) {
  world.source.replace(kPath, replaced("h1:zip-of-example.org/m", "h1:another-zip"));
  expect_refused("another record 300");
}

TEST_F(Attack, RecordUnderAnotherNumber) {
  world.source.replace(kPath, replaced("300\n", "299\n"));
  expect_refused("another record 299");
}

TEST_F(Attack, RecordNumberBeyondTheLog) {
  for (const std::string number : {"601\n", "9223372036854775807\n"}) {
    world.source.replace(kPath, replaced("300\n", number));
    expect_refused("has no node");
  }
}

TEST_F(Attack, RecordNumberThatIsNone) {
  for (const std::string number : {"-1\n", "18446744073709551616\n", "0x12c\n", "\n"}) {
    world.source.replace(kPath, replaced("300\n", number));
    expect_refused("no record number");
  }
}

TEST_F(Attack, RecordOfAnotherModule) {
  world.add("example.org/other");
  world.source.replace(kPath, world.database.serve("/lookup/example.org/other@v1.0.0").value());
  expect_refused("no h1 hash for example.org/m@v1.0.0");
}

TEST_F(Attack, RecordOfAnotherVersion) {
  world.add("example.org/m", "v1.0.01");
  world.source.replace(kPath, world.database.serve("/lookup/example.org/m@v1.0.01").value());
  expect_refused("no h1 hash");
}

TEST_F(Attack, RecordWithTwoHashes) {
  world.database.add_text("example.org/m", "v1.0.0", "example.org/m v1.0.0 h1:one\nexample.org/m v1.0.0 h1:two\n");
  expect_refused("two hashes");
}

TEST_F(Attack, NoLookupAtAll) {
  for (const std::string& body : std::vector<std::string>{std::string(), std::string("<html></html>"), good.substr(0, good.size() / 2),
                                                          std::string(2'000'000, '\n')}) {
    world.source.replace(kPath, body);
    expect_refused();
  }
}

TEST_F(Attack, ChangedTiles) {
  ASSERT_TRUE(world.hash("example.org/m"));
  const auto tiles = world.source.kept_answers();
  for (const auto& [path, bytes] : tiles) {
    if (!path.starts_with("/tile/")) continue;
    World fresh(300);
    fresh.add("example.org/m");
    fresh.database.add_filler(300);
    fresh.source.change(path, [](Result<std::string> body) {
      body->back() ^= 1;
      return body;
    });
    const auto hash = fresh.hash("example.org/m");
    ASSERT_FALSE(hash) << path;
    EXPECT_EQ(hash.error().code, ErrorCode::kCorrupt);
    for (const auto& [kept_path, kept] : fresh.source.kept_answers()) {
      EXPECT_EQ(kept, fresh.database.serve(kept_path).value()) << "what is kept is right: " << kept_path;
    }
    EXPECT_FALSE(fresh.source.kept_answers().contains(path));
  }
}

TEST_F(Attack, TilesOfTheWrongLength) {
  for (const bool longer : {false, true}) {
    World fresh(300);
    fresh.add("example.org/m");
    fresh.source.change("/tile/8/0/001.p/45", [longer](Result<std::string> body) {
      body->resize(body->size() + (longer ? 32 : -32));
      return body;
    });
    EXPECT_EQ(fresh.hash("example.org/m").error().code, ErrorCode::kCorrupt);
  }
}

TEST_F(Attack, TileOfAnotherPlaceIsNotServed) {
  ASSERT_TRUE(world.latest());
  world.source.replace("/tile/8/0/000", world.database.serve("/tile/8/0/001").value());
  EXPECT_EQ(world.tile("/tile/8/0/000").error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(world.source.kept_answers().contains("/tile/8/0/000"));
}

// A database of the same key and size up to which both agree, with another history after it.
struct Fork : testing::TestWithParam<std::uint64_t> {
  World world{GetParam()};
  fakes::SumDb other;
  Fork() {
    other.add_filler(GetParam());
    world.add("example.org/m");
    other.add("example.org/m", "v1.0.0", "h1:backdoor", "h1:backdoor");
  }
};

TEST_P(Fork, OfALaterLogIsFoundAndShown) {
  ASSERT_TRUE(world.hash("example.org/m"));
  other.add("example.org/target", "v1.0.0", "h1:backdoor", "h1:backdoor");
  other.add_filler(200);
  const auto kept_before = world.source.kept_answers();
  world.source.serve_from(&other);
  const auto hash = world.hash("example.org/target");
  ASSERT_FALSE(hash);
  EXPECT_EQ(hash.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(hash.error().message, AllOf(HasSubstr("SECURITY ERROR"), HasSubstr("old database:\n\tgo.sum database tree"),
                                          HasSubstr("new database:\n\tgo.sum database tree")));
  EXPECT_EQ(world.source.kept_answers(), kept_before) << "nothing of the fork is kept";
  EXPECT_EQ(world.source.heads().size(), 1U);
  world.source.serve_from(&world.database);
  EXPECT_EQ(world.hash("example.org/m").value(), "h1:zip-of-example.org/m");
}

TEST_P(Fork, OfTheSameSizeIsFoundWithoutATile) {
  ASSERT_TRUE(world.latest());
  const int before = world.source.fetches();
  world.source.serve_from(&other);
  world.clock.advance(std::chrono::hours(1));
  const auto latest = world.latest();
  ASSERT_FALSE(latest) << "a fork is not answered with the head that is known";
  EXPECT_THAT(latest.error().message, HasSubstr("SECURITY ERROR"));
  EXPECT_EQ(world.source.fetches(), before + 1);
}

TEST_P(Fork, OfAnOlderLogIsFoundInALookup) {
  world.database.add_filler(200);
  ASSERT_TRUE(world.latest());
  world.source.replace(kPath, other.serve(kPath).value());
  const auto hash = world.hash("example.org/m");
  ASSERT_FALSE(hash);
  EXPECT_THAT(hash.error().message, HasSubstr("SECURITY ERROR"));
}

INSTANTIATE_TEST_SUITE_P(Sizes, Fork, testing::Values(0, 1, 255, 256, 300, 65535));

TEST_F(Attack, DamagedTilesOfOurOwnAreFetchedAnew) {
  ASSERT_TRUE(world.hash("example.org/m"));
  for (auto& [path, body] : world.source.kept_answers()) {
    if (path.starts_with("/tile/")) body[5] ^= 1;
  }
  world.source.kept_answers().erase(kPath);
  world.restart();
  EXPECT_TRUE(world.hash("example.org/m"));
  EXPECT_EQ(world.source.kept_answers().at("/tile/8/0/001"), world.database.serve("/tile/8/0/001").value());
}

TEST_F(Attack, DamagedLookupsOfOurOwnAreFetchedAnew) {
  ASSERT_TRUE(world.hash("example.org/m"));
  world.source.kept_answers()[kPath] = good.substr(0, 40);
  world.restart();
  EXPECT_TRUE(world.hash("example.org/m"));
  EXPECT_EQ(world.source.kept_answers().at(kPath), good);
}

TEST_F(Attack, FailuresAreNotKept) {
  world.source.replace(kPath, "nonsense");
  ASSERT_FALSE(world.hash("example.org/m"));
  world.source.replace(kPath, good);
  EXPECT_TRUE(world.hash("example.org/m"));
}

}  // namespace
}  // namespace cistern::verify
