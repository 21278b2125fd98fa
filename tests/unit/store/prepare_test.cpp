#include "cache-agent/store/prepare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/fakes/places/places.hpp"

namespace cistern::store {
namespace {

namespace fs = std::filesystem;
using fakes::TemporaryFolder;

Owner myself() { return {::geteuid(), ::getegid()}; }

struct stat look(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

Owner owner_of(const fs::path& path) { return {look(path).st_uid, look(path).st_gid}; }

TEST(PrepareFolder, an_owner_is_two_numbers) {
  EXPECT_EQ(*parse_owner("65532:1"), (Owner{65532, 1}));
  for (const auto* text : {"", "65532", "a:b", "1:", ":1", "-1:1", "1:2:3", "4294967295:1", "4294967296:1"}) {
    EXPECT_FALSE(parse_owner(text)) << text;
  }
}

TEST(PrepareFolder, makes_a_folder_that_is_not_there_closed_to_others) {
  TemporaryFolder folder;
  const auto path = folder.path() / "a/b";
  const auto prepared = prepare_folder(path, myself());
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_EQ(look(path).st_mode & 07777, 0700U);
  EXPECT_EQ(owner_of(path), myself());
}

TEST(PrepareFolder, closes_one_that_is_open_and_leaves_what_is_in_it) {
  TemporaryFolder folder;
  const auto file = folder.write("cache/blobs/x", "1");
  fs::permissions(folder.path() / "cache", fs::perms(0755));
  const auto before = look(file);
  ASSERT_TRUE(prepare_folder(folder.path() / "cache", myself()));
  EXPECT_EQ(look(folder.path() / "cache").st_mode & 07777, 0700U);
  EXPECT_EQ(look(file).st_mode, before.st_mode);
  EXPECT_EQ(look(file).st_ctim.tv_nsec, before.st_ctim.tv_nsec) << "a file that has the right owner is not touched";
}

TEST(PrepareFolder, something_that_is_no_folder_is_refused) {
  TemporaryFolder folder;
  const auto prepared = prepare_folder(folder.write("cache", ""), myself());
  ASSERT_FALSE(prepared);
  EXPECT_THAT(prepared.error().message, testing::HasSubstr("cache"));
}

class PrepareFolderAsRoot : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  }
};

TEST_F(PrepareFolderAsRoot, gives_away_what_has_another_owner_and_nothing_that_a_link_points_to) {
  TemporaryFolder folder;
  const auto outside = folder.write("outside", "1");
  const auto path = folder.path() / "cache";
  const auto mine = folder.write("cache/blobs/mine", "1");
  folder.write("cache/index.db", "1");
  fs::create_symlink(outside, path / "link");
  fs::create_directory_symlink(folder.path(), path / "folder-link");
  const Owner agent{65532, 65532};
  ASSERT_EQ(::lchown(mine.c_str(), agent.user, agent.group), 0);
  const auto before = look(mine);
  const auto prepared = prepare_folder(path, agent);
  ASSERT_TRUE(prepared) << prepared.error().message;
  for (const auto* name : {"", "blobs", "blobs/mine", "index.db", "link", "folder-link"}) EXPECT_EQ(owner_of(path / name), agent) << name;
  EXPECT_EQ(owner_of(outside), myself());
  EXPECT_EQ(look(mine).st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}

TEST_F(PrepareFolderAsRoot, a_folder_that_is_right_is_not_searched_again) {
  TemporaryFolder folder;
  const auto path = folder.path() / "cache";
  const Owner agent{65532, 65532};
  ASSERT_TRUE(prepare_folder(path, agent));
  const auto later = folder.write("cache/later", "1");
  ASSERT_TRUE(prepare_folder(path, agent));
  EXPECT_EQ(owner_of(later), myself());
}

}  // namespace
}  // namespace cistern::store
