#include "operator/node/keeper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/unit/operator/node/faulty_file_system.hpp"
#include "tests/unit/operator/node/tree.hpp"

namespace cistern::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr const char* kDocker = "/etc/containerd/certs.d/docker.io/hosts.toml";
constexpr const char* kQuay = "/etc/containerd/certs.d/quay.io/hosts.toml";
constexpr const char* kLocal = "/etc/containerd/certs.d/local.example:5000/hosts.toml";

std::string ours(const std::string& what) { return "# managed by cistern\n" + what + "\n"; }
DesiredFile file(const std::string& path, const std::string& what) { return {path, ours(what), ours(what)}; }

class KeeperTest : public testing::Test {
 protected:
  Keeper open() {
    auto keeper = Keeper::open(files_, tree_.root(), kState);
    if (!keeper) throw std::runtime_error(keeper.error().message);
    return std::move(*keeper);
  }
  static Change done(Result<Change> change) {
    EXPECT_TRUE(change) << change.error().message;
    return change ? std::move(*change) : Change{};
  }

  Tree tree_;
  FaultyFileSystem files_;
};

TEST_F(KeeperTest, WritesFilesAndLeavesNothingBesideThem) {
  auto keeper = open();
  const auto change = done(keeper.apply({file(kDocker, "a"), file(kLocal, "b")}, Form::kFull, "config"));
  EXPECT_THAT(change.written, ElementsAre(kDocker, kLocal));
  EXPECT_EQ(tree_.read(kDocker), ours("a"));
  EXPECT_EQ(std::distance(fs::directory_iterator(tree_.at(kDocker).parent_path()), fs::directory_iterator()), 1);
  EXPECT_EQ(keeper.ledger().config, "config");
}

TEST_F(KeeperTest, TheSameAgainWritesNothing) {
  auto keeper = open();
  done(keeper.apply({file(kDocker, "a")}, Form::kFull, "config"));
  files_.set(FaultyFileSystem::Fault::kReadOnly, 0, true);
  EXPECT_FALSE(done(keeper.apply({file(kDocker, "a")}, Form::kFull, "config")).any());
  EXPECT_EQ(files_.steps(), 0U);
}

TEST_F(KeeperTest, PutsBackWhatWasThereByteForByte) {
  tree_.write(kDocker, std::string("server = 'x'\r\n\0\xff", 16), 0640, 1'500'000'000);
  tree_.write("/etc/containerd/certs.d/docker.io/ca.crt", "certificate", 0600, 1'400'000'000);
  tree_.write("/etc/containerd/certs.d/_default/hosts.toml", "default");
  tree_.link(kQuay, "../shared/hosts.toml");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(tree_.at(kDocker).c_str(), 1234, 4321), 0);
  }
  const bool extended = ::setxattr(tree_.at(kDocker).c_str(), "user.note", "kept", 4, 0) == 0;
  const auto before = tree_.snapshot();

  done(open().apply({file(kDocker, "a"), file(kQuay, "b"), file(kLocal, "c")}, Form::kFull, ""));
  EXPECT_EQ(tree_.read(kQuay), ours("b"));
  EXPECT_EQ(tree_.read("/etc/containerd/certs.d/docker.io/ca.crt"), "certificate");
  const auto change = done(open().restore());
  EXPECT_THAT(change.restored, UnorderedElementsAre(kDocker, kQuay, kLocal));
  EXPECT_THAT(change.left, IsEmpty());
  EXPECT_EQ(tree_.snapshot(), before);
  if (extended) {
    std::array<char, 8> value{};
    EXPECT_EQ(::getxattr(tree_.at(kDocker).c_str(), "user.note", value.data(), value.size()), 4);
  }
  EXPECT_TRUE(fs::is_empty(tree_.at(kState) / "backup"));
}

TEST_F(KeeperTest, AFolderOfOursInWhichOthersHavePutSomethingStays) {
  auto keeper = open();
  done(keeper.apply({file(kDocker, "a")}, Form::kFull, ""));
  tree_.write("/etc/containerd/certs.d/docker.io/ca.crt", "certificate");
  done(keeper.restore());
  EXPECT_FALSE(tree_.exists(kDocker));
  EXPECT_EQ(tree_.read("/etc/containerd/certs.d/docker.io/ca.crt"), "certificate");
}

TEST_F(KeeperTest, ARegistryThatIsGoneIsPutBackInTheSameChange) {
  tree_.write(kQuay, "theirs");
  auto keeper = open();
  done(keeper.apply({file(kDocker, "a"), file(kQuay, "b")}, Form::kFull, ""));
  const auto change = done(keeper.apply({file(kDocker, "a2")}, Form::kFull, ""));
  EXPECT_THAT(change.written, ElementsAre(kDocker));
  EXPECT_THAT(change.restored, ElementsAre(kQuay));
  EXPECT_EQ(tree_.read(kQuay), "theirs");
}

TEST_F(KeeperTest, UnmanagedFilesAreLeftAndNamed) {
  const std::string theirs = "server = 'x'\n# cistern: unmanaged\n";
  tree_.write(kDocker, theirs);
  auto keeper = open();
  const auto change = done(keeper.apply({file(kDocker, "a"), file(kQuay, "b")}, Form::kFull, ""));
  EXPECT_THAT(change.left, ElementsAre(HasSubstr("docker.io/hosts.toml: it is marked")));
  EXPECT_THAT(change.written, ElementsAre(kQuay));
  // Marked later on:
  tree_.write(kQuay, ours("b") + "# cistern: unmanaged\n");
  const auto drift = keeper.look();
  ASSERT_EQ(drift.size(), 1U);
  EXPECT_EQ(drift[0].kind, Drift::Kind::kUnmanaged);
  EXPECT_FALSE(done(keeper.repair()).any());
  EXPECT_THAT(done(keeper.restore()).left, ElementsAre(HasSubstr("quay.io")));
  EXPECT_EQ(tree_.read(kDocker), theirs);
}

TEST_F(KeeperTest, DriftIsFoundMendedAndCounted) {
  tree_.write(kQuay, "theirs");
  auto keeper = open();
  done(keeper.apply({file(kDocker, "a"), file(kQuay, "b")}, Form::kFull, ""));
  EXPECT_THAT(keeper.look(), IsEmpty());
  tree_.write(kDocker, "by hand");
  fs::remove_all(tree_.at(kQuay).parent_path());
  EXPECT_EQ(keeper.look().size(), 2U);
  EXPECT_THAT(done(keeper.repair()).written, UnorderedElementsAre(kDocker, kQuay));
  EXPECT_EQ(tree_.read(kDocker), ours("a"));
  EXPECT_EQ(keeper.ledger().repairs, 2U);
  done(keeper.restore());
  EXPECT_FALSE(tree_.exists(kDocker));
  EXPECT_EQ(tree_.read(kQuay), "theirs");
}

TEST_F(KeeperTest, AFileThatOthersHaveReplacedIsTheirsAtTheEnd) {
  auto keeper = open();
  done(keeper.apply({file(kDocker, "a")}, Form::kFull, ""));
  tree_.write(kDocker, "theirs");
  EXPECT_THAT(done(keeper.restore()).left, ElementsAre(HasSubstr("not ours any more")));
  EXPECT_EQ(tree_.read(kDocker), "theirs");
  EXPECT_TRUE(keeper.holds_nothing());
}

TEST_F(KeeperTest, StrictFilesFallBackAndOthersAreNotTouched) {
  auto keeper = open();
  done(keeper.apply({file(kDocker, "a"), {kQuay, ours("strict"), ours("soft")}}, Form::kFallback, ""));
  EXPECT_EQ(tree_.read(kQuay), ours("soft"));
  done(keeper.apply({file(kDocker, "a"), {kQuay, ours("strict"), ours("soft")}}, Form::kFull, ""));
  EXPECT_EQ(tree_.read(kQuay), ours("strict"));
  EXPECT_THAT(done(keeper.fall_back()).written, ElementsAre(kQuay));
  EXPECT_EQ(tree_.read(kQuay), ours("soft"));
  EXPECT_FALSE(done(keeper.fall_back()).any());
}

TEST_F(KeeperTest, WhatChangesOthersFilesIsPutBackOnlyWhileNobodyElseHas) {
  tree_.write("/etc/containerd/config.toml", "version = 2\n", 0600);
  const DesiredFile config{"/etc/containerd/config.toml", ours("version = 2"), ours("version = 2"), true};
  auto keeper = open();
  done(keeper.apply({config}, Form::kFull, ""));
  done(keeper.restore());
  EXPECT_EQ(tree_.read("/etc/containerd/config.toml"), "version = 2\n");
  done(keeper.apply({config}, Form::kFull, ""));
  tree_.write("/etc/containerd/config.toml", ours("version = 2") + "root = '/x'\n");
  EXPECT_THAT(keeper.look(), IsEmpty());
  EXPECT_EQ(done(keeper.restore()).left.size(), 1U);
  EXPECT_THAT(tree_.read("/etc/containerd/config.toml"), HasSubstr("root = '/x'"));
}

TEST_F(KeeperTest, OneProcessHasTheNode) {
  const auto first = open();
  const auto second = Keeper::open(files_, tree_.root(), kState);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

TEST_F(KeeperTest, ADamagedLedgerOrBackupIsSaidAndNothingIsTouched) {
  tree_.write(kDocker, "theirs");
  done(open().apply({file(kDocker, "a")}, Form::kFull, ""));
  const auto backup = fs::directory_iterator(tree_.at(kState) / "backup")->path();
  std::ofstream(backup) << "other";
  const auto restored = open().restore();
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().message, HasSubstr("it was changed"));
  EXPECT_EQ(tree_.read(kDocker), ours("a"));
  std::ofstream(tree_.at(kState) / "ledger.json") << "{";
  const auto opened = Keeper::open(files_, tree_.root(), kState);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("can not be read; what was there before is in"));
  EXPECT_TRUE(fs::exists(backup));
}

TEST(Resolve, FollowsTheHostsLinksWithinTheHost) {
  const Tree tree;
  tree.write("/opt/certs/x/keep", "");
  tree.link("/etc/containerd/certs.d", "/opt/certs");
  tree.link("/opt/certs/docker.io", "x");
  tree.link("/opt/certs/x/hosts.toml", "/nowhere");
  tree.link("/etc/a", "b");
  tree.link("/etc/b", "a");
  EXPECT_EQ(*resolve(tree.root(), kDocker), "/opt/certs/x/hosts.toml");
  EXPECT_EQ(*resolve(tree.root(), "/etc/new/../other/x"), "/etc/other/x");
  EXPECT_EQ(*resolve(tree.root(), "/../../etc/passwd"), "/etc/passwd");
  EXPECT_FALSE(resolve(tree.root(), "/etc/a/x"));
}

}  // namespace
}  // namespace cistern::node
