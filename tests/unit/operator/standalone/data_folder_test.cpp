#include "operator/standalone/data_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/fakes/places/places.hpp"

namespace cistern::standalone {
namespace {

namespace fs = std::filesystem;

TEST(DataFolder, what_is_the_same_is_not_written_again) {
  fakes::TemporaryFolder folder;
  auto data = DataFolder::open(folder.path());
  ASSERT_TRUE(data) << data.error().message;
  ASSERT_TRUE(data->write({{"agent.yaml", "a"}, {"certs.d/x/hosts.toml", "b"}}));
  const auto time = fs::last_write_time(folder.path() / "certs.d/x/hosts.toml");
  fs::last_write_time(folder.path() / "certs.d/x/hosts.toml", time - std::chrono::hours(1));
  ASSERT_TRUE(data->write({{"agent.yaml", "a"}, {"certs.d/x/hosts.toml", "b"}}));
  EXPECT_EQ(fs::last_write_time(folder.path() / "certs.d/x/hosts.toml"), time - std::chrono::hours(1));
}

TEST(DataFolder, removes_only_what_is_ours) {
  fakes::TemporaryFolder folder;
  folder.write("certs.d/ours/hosts.toml", "# managed by cistern\n");
  folder.write("certs.d/theirs/hosts.toml", "server = \"https://x\"\n");
  auto data = DataFolder::open(folder.path());
  ASSERT_TRUE(data) << data.error().message;
  ASSERT_TRUE(data->write({{"agent.yaml", "a"}}));
  EXPECT_FALSE(fs::exists(folder.path() / "certs.d/ours"));
  EXPECT_TRUE(fs::exists(folder.path() / "certs.d/theirs/hosts.toml"));
}

TEST(DataFolder, is_free_again_when_its_owner_is_gone) {
  fakes::TemporaryFolder folder;
  {
    auto first = DataFolder::open(folder.path());
    ASSERT_TRUE(first);
    EXPECT_FALSE(DataFolder::open(folder.path()));
  }
  EXPECT_TRUE(DataFolder::open(folder.path()));
}

}  // namespace
}  // namespace cistern::standalone
