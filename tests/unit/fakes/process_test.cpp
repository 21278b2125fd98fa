#include "tests/fakes/agent_process/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include "tests/fakes/places/places.hpp"

namespace cistern::fakes {
namespace {

using std::chrono::milliseconds;

TEST(Process, RunsWithItsOwnEnvironmentAndFolder) {
  const TemporaryFolder folder;
  const auto ended = run(
      {.arguments = {"sh", "-c", "echo $A-$HOME; pwd; echo oops >&2; exit 3"}, .environment = {"A=1", "HOME"}, .folder = folder.path()});
  EXPECT_EQ(ended.code, 3);
  EXPECT_EQ(ended.output, "1-\n" + folder.path().string() + "\noops\n");
}

TEST(Process, IsKilledAfterItsLimit) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(run({.arguments = {"sleep", "60"}}, milliseconds(50)).code, 124);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(Process, IsGoneWithItsChildrenWhenTheObjectGoes) {
  const TemporaryFolder folder;
  {
    Process process({.arguments = {"sh", "-c", "sleep 60 & echo $! > child; wait"}, .folder = folder.path()}, folder / "log");
    while (read_file(folder / "child").empty()) ASSERT_FALSE(process.wait(milliseconds(5)));
  }
  const auto child = std::stoi(read_file(folder / "child"));
  // It may be a zombie until init reaps it; then its command line is empty.
  EXPECT_TRUE(::kill(child, 0) != 0 || read_file("/proc/" + std::to_string(child) + "/cmdline").empty());
}

TEST(Process, TellsASignalFromAnExitCode) {
  const TemporaryFolder folder;
  Process process({.arguments = {"sleep", "60"}}, folder / "log");
  EXPECT_TRUE(process.running());
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(std::chrono::seconds(5)), 128 + SIGTERM);
}

TEST(Places, AFolderGoesWithWhatIsInItAlsoIfItWasReadOnly) {
  std::filesystem::path path;
  {
    const TemporaryFolder folder;
    path = folder.path();
    write_file(folder / "a/b/c", "x");
    EXPECT_EQ(read_file(folder / "a/b/c"), "x");
    ::chmod((path / "a/b").c_str(), 0500);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Places, PortsAreNotGivenTwice) { EXPECT_NE(free_port(), free_port()); }

}  // namespace
}  // namespace cistern::fakes
