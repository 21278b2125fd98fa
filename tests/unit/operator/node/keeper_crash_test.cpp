// Every single step of a change fails, or is the last that the program does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operator/node/faulty_file_system.hpp"
#include "tests/unit/operator/node/tree.hpp"

namespace cistern::node {
namespace {

using Fault = FaultyFileSystem::Fault;
using Snapshot = std::map<std::string, std::string>;

std::string content(const std::string& what) { return "# managed by cistern\n" + what + "\n"; }
const std::string kHostFolders = "/etc/containerd/certs.d/";

// What changes the node from one state to another.
struct Scenario {
  const char* name;
  std::vector<DesiredFile> first;   // in place before
  std::vector<DesiredFile> second;  // empty: all is put back
};

DesiredFile registry(const std::string& name, const std::string& what) {
  return {kHostFolders + name + "/hosts.toml", content(what), content(what)};
}

const std::vector<Scenario> kScenarios = {
    {"TheFirstChange", {}, {registry("docker.io", "1"), registry("quay.io", "1"), registry("new.example", "1")}},
    {"AnotherConfiguration",
     {registry("docker.io", "1"), registry("quay.io", "1"), registry("gone.example", "1")},
     {registry("docker.io", "2"), registry("new.example", "2"), registry("quay.io", "1")}},
    {"Restore", {registry("docker.io", "1"), registry("quay.io", "1"), registry("new.example", "1")}, {}},
};

class Crash : public testing::TestWithParam<Scenario> {
 protected:
  // docker.io: a file of others, with a certificate; quay.io: a link of others.
  static std::unique_ptr<Tree> make_tree(const Scenario& scenario) {
    auto tree = std::make_unique<Tree>();
    tree->write(kHostFolders + "docker.io/hosts.toml", "theirs", 0600, 1'500'000'000);
    tree->write(kHostFolders + "docker.io/ca.crt", "certificate");
    tree->write("/etc/shared.toml", "shared");
    tree->link(kHostFolders + "quay.io/hosts.toml", "/etc/shared.toml");
    RealFileSystem files;
    if (!scenario.first.empty() && !open(files, *tree).apply(scenario.first, Form::kFull, "first")) throw std::runtime_error("apply");
    return tree;
  }
  static Keeper open(FileSystem& files, const Tree& tree) {
    auto keeper = Keeper::open(files, tree.root(), kState);
    if (!keeper) throw std::runtime_error(keeper.error().message);
    return std::move(*keeper);
  }
  static Result<Change> change(Keeper& keeper, const Scenario& scenario) {
    return scenario.second.empty() ? keeper.restore() : keeper.apply(scenario.second, Form::kFull, "second");
  }

  void SetUp() override {
    const auto tree = make_tree(GetParam());
    old_ = tree->snapshot(false);
    FaultyFileSystem files;
    auto keeper = open(files, *tree);
    files.set(Fault::kNone, 0);
    ASSERT_TRUE(change(keeper, GetParam()));
    steps_ = files.steps();
    new_ = tree->snapshot(false);
    ASSERT_NE(old_, new_);
    ASSERT_GT(steps_, 10U);
  }

  Snapshot old_, new_;
  unsigned steps_ = 0;
};

TEST_P(Crash, AtAnyStepLeavesAllOldOrAllNew) {
  unsigned olds = 0, news = 0;
  for (const auto fault : {Fault::kKillBefore, Fault::kKillAfter, Fault::kKillHalfWritten}) {
    for (unsigned step = 0; step < steps_; ++step) {
      const auto tree = make_tree(GetParam());
      FaultyFileSystem files;
      {
        auto keeper = open(files, *tree);
        files.set(fault, step);
        try {
          (void)change(keeper, GetParam());
        } catch (const Killed&) {
        }
      }
      // The next start, which may be killed as well, and the one after it.
      for (const unsigned again : {0U, 1U, 2U, 3U, 5U, 8U, 13U}) {
        files.set(Fault::kKillAfter, again);
        try {
          (void)open(files, *tree);
        } catch (const Killed&) {
        }
      }
      files.set(Fault::kNone, 0);
      auto keeper = open(files, *tree);
      const auto found = tree->snapshot(false);
      ASSERT_TRUE(found == old_ || found == new_) << "step " << step << " fault " << static_cast<int>(fault);
      ++(found == old_ ? olds : news);
      // Whatever it was: it goes on from there.
      const auto done = change(keeper, GetParam());
      ASSERT_TRUE(done) << done.error().message;
      ASSERT_EQ(tree->snapshot(false), new_) << "step " << step;
      ASSERT_TRUE(keeper.restore());
    }
  }
  EXPECT_GT(olds, 0U);
  EXPECT_GT(news, 0U);
}

TEST_P(Crash, AReaderInTheMiddleNeverSeesHalfAFile) {
  for (unsigned step = 0; step < steps_; ++step) {
    const auto tree = make_tree(GetParam());
    FaultyFileSystem files;
    auto keeper = open(files, *tree);
    files.set(Fault::kKillAfter, step);
    try {
      (void)change(keeper, GetParam());
    } catch (const Killed&) {
    }
    const auto now = tree->snapshot(false);
    for (const char* name : {"docker.io", "quay.io", "new.example", "gone.example"}) {
      const auto path = kHostFolders + name + "/hosts.toml";
      const auto look = [&](const Snapshot& tree_then) { return tree_then.contains(path) ? tree_then.at(path) : ""; };
      ASSERT_TRUE(look(now) == look(old_) || look(now) == look(new_)) << path << " at step " << step;
    }
  }
}

TEST_P(Crash, AnErrorAtAnyStepIsTakenBack) {
  for (const auto fault : {Fault::kNoSpace, Fault::kReadOnly, Fault::kDenied}) {
    for (unsigned step = 0; step < steps_; ++step) {
      const auto tree = make_tree(GetParam());
      FaultyFileSystem files;
      auto keeper = open(files, *tree);
      // A full disk stays full; the others pass, for else nothing could be taken back.
      files.set(fault, step, fault == Fault::kNoSpace);
      const auto done = change(keeper, GetParam());
      files.set(Fault::kNone, 0);
      if (!done) {
        EXPECT_THAT(done.error().message, testing::HasSubstr(tree->root().string()));
        EXPECT_EQ(done.error().code, fault == Fault::kNoSpace ? ErrorCode::kNoSpace : ErrorCode::kIo);
      }
      // On a full disk the ledger that says so can not be written, and the change is taken back all the same. (What was done may have
      // left second names behind, for the next time.)
      if (!done) {
        ASSERT_EQ(tree->snapshot(false), old_) << "step " << step << " fault " << static_cast<int>(fault);
      }
      const auto again = change(keeper, GetParam());
      ASSERT_TRUE(again) << again.error().message;
      ASSERT_EQ(tree->snapshot(false), new_);
    }
  }
}

TEST_P(Crash, AFileSystemThatTurnsReadOnlyForGoodIsPutRightOnceItIsNot) {
  for (unsigned step = 0; step < steps_; ++step) {
    const auto tree = make_tree(GetParam());
    FaultyFileSystem files;
    auto keeper = open(files, *tree);
    files.set(Fault::kReadOnly, step, true);
    const auto done = change(keeper, GetParam());
    files.set(Fault::kNone, 0);
    const auto again = change(keeper, GetParam());
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(tree->snapshot(false), new_) << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Keeper, Crash, testing::ValuesIn(kScenarios), [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cistern::node
