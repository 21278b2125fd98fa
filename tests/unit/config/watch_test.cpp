#include "config/watch.hpp"

#include <gtest/gtest.h>

#include "tests/fakes/places/places.hpp"

namespace cistern::config {
namespace {

namespace fs = std::filesystem;
using fakes::TemporaryFolder;

TEST(FileWatch, sees_a_rewrite_a_rename_a_removal_and_a_new_file_once_each) {
  TemporaryFolder folder;
  const auto file = folder.write("a", "1");
  FileWatch watch;
  watch.watch({file.string(), (folder.path() / "later").string()});
  EXPECT_FALSE(watch.changed());
  folder.write("a", "22");
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  fs::rename(folder.write("b", "33"), file);
  EXPECT_TRUE(watch.changed());
  fs::remove(file);
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  folder.write("later", "");
  EXPECT_TRUE(watch.changed());
}

TEST(FileWatch, sees_the_swap_of_a_mounted_secret) {
  TemporaryFolder folder;
  folder.write("..1/key", "x");
  folder.write("..2/key", "y");
  fs::create_symlink("..1", folder.path() / "..data");
  fs::create_symlink("..data/key", folder.path() / "key");
  FileWatch watch;
  watch.watch({(folder.path() / "key").string()});
  EXPECT_FALSE(watch.changed());
  fs::create_symlink("..2", folder.path() / "..data_tmp");
  fs::rename(folder.path() / "..data_tmp", folder.path() / "..data");
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
}

TEST(FileWatch, keeps_what_it_saw_of_files_that_stay_watched) {
  TemporaryFolder folder;
  const auto file = folder.write("a", "1");
  FileWatch watch;
  watch.watch({file.string()});
  folder.write("a", "22");
  watch.watch({file.string()});
  EXPECT_TRUE(watch.changed()) << "the change fell between a reload and the new list of files";
}

}  // namespace
}  // namespace cistern::config
