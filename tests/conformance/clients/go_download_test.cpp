// A real `go mod download`, with an empty module cache, the checksum database on, and no other way out.
#include <set>
#include <sstream>

#include "clients_fixture.hpp"

namespace cistern::conformance {
namespace {

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.insert(line);
  return lines;
}

class ClientsGo : public ::testing::Test {
 protected:
  // Downloads the module set into an empty cache in `folder`, without a go.sum to begin with, so that every module is looked up.
  Ended download(const TemporaryFolder& folder) const {
    write_file(folder / "set/go.mod", read_file(data / "go.mod"));
    auto environment = go_environment(folder.path());
    environment.push_back("GOPROXY=" + agent->node().url() + "/go");
    return run({.arguments = {"go", "mod", "download"}, .environment = environment, .folder = folder / "set"}, std::chrono::seconds(200));
  }
  void expect_all(const TemporaryFolder& folder) const {
    EXPECT_GE(downloaded(folder.path(), ".zip"), 100u);
    const auto got = lines_of(read_file(folder / "set/go.sum")), want = lines_of(read_file(data / "go.sum"));
    for (const auto& line : got) EXPECT_EQ(want.count(line), 1u) << line;
    EXPECT_GE(got.size(), 200u);
  }

  const std::filesystem::path data = source_folder() / "tests/conformance/clients/data";
  std::unique_ptr<Agent> agent;
};

TEST_F(ClientsGo, Case14_AModuleSetIsDownloadedWithNoOtherWayOutAndAgainWithTheUpstreamGone) {
  if (const auto why = missing({"go"}); !why.empty()) GTEST_SKIP() << why;
  const auto proxy = public_go_proxy();
  if (proxy.empty()) GTEST_SKIP() << "the Go proxy that `go env GOPROXY` names can not be reached";
  Relay relay(proxy);
  // The checksum database has no URL of its own here, so it is reached through the proxy's /sumdb/ path alone.
  agent = std::make_unique<Agent>(
      AgentSetup{.go = "{views: [{upstreams: [{name: relay, url: \"" + relay.url() + "\"}], sumDB: {mode: Verify}}]}",
                 .timeouts = "{connect: 2s, firstByte: 60s, idle: 60s}"});
  ASSERT_TRUE(agent->start()) << agent->log();
  {
    const TemporaryFolder first;
    const auto ended = download(first);
    ASSERT_EQ(ended.code, 0) << ended.output << agent->log();
    expect_all(first);
  }
  EXPECT_GE(relay.count(), 200u);
  relay.go_down();
  const TemporaryFolder second;
  const auto ended = download(second);
  ASSERT_EQ(ended.code, 0) << ended.output << agent->log();
  expect_all(second);
}

}  // namespace
}  // namespace cistern::conformance
