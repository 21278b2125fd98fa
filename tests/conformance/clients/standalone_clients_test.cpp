// From a policy file to a real client, through what standalone mode writes into its data folder.
#include "standalone_fixture.hpp"

namespace cistern::conformance {
namespace {

class StandaloneClients : public StandaloneTest {};

TEST_F(StandaloneClients, EnvShLeadsARealGoToTheAgent) {
  if (const auto why = missing({"go", "bash"}); !why.empty()) GTEST_SKIP() << why;
  const auto proxy = public_go_proxy();
  if (proxy.empty()) GTEST_SKIP() << "the Go proxy that `go env GOPROXY` names can not be reached";
  Relay relay(proxy);
  write_policy("go: {upstreams: [{url: \"" + relay.url() + "\"}]}");
  start();
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(data() / "env.sh"); }));
  const auto download = [&](const TemporaryFolder& place) {
    write_file(place / "set/go.mod",
               "module example.com/few\n\ngo 1.18\n\nrequire (\n\tgolang.org/x/text v0.3.7\n\tgithub.com/BurntSushi/toml "
               "v1.2.0\n\tgithub.com/pkg/errors v0.9.1\n)\n");
    auto environment = go_environment(place.path());
    environment.insert(environment.end(), {"GOSUMDB", "GOPRIVATE", "GONOSUMDB", "GONOPROXY", "GOPROXY=off"});  // env.sh has the word
    return run({.arguments = {"bash", "-c", ". '" + (data() / "env.sh").string() + "' && go mod download -x"},
                .environment = environment,
                .folder = place / "set"},
               std::chrono::seconds(100));
  };
  {
    const TemporaryFolder first;
    const auto ended = download(first);
    ASSERT_EQ(ended.code, 0) << ended.output;
    EXPECT_EQ(downloaded(first.path(), ".zip"), 3u);
    EXPECT_NE(ended.output.find(agent.text() + "/go/"), std::string::npos) << ended.output;
  }
  relay.go_down();
  const TemporaryFolder second;
  const auto ended = download(second);
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_EQ(downloaded(second.path(), ".zip"), 3u);
}

TEST_F(StandaloneClients, HostsTomlLeadsARealContainerdToTheAgent) {
  if (const auto why = missing({"skopeo", "docker-registry", "containerd", "ctr"}, true); !why.empty()) GTEST_SKIP() << why;
  Registry registry;
  ASSERT_TRUE(registry.start()) << registry.log();
  const auto pushed = registry.push("team/app", "v1", small_images({"amd64", "arm64"}, "three"));
  ASSERT_EQ(pushed.code, 0) << pushed.output;
  write_policy(images_of(registry.url(), "registry.test"));
  start();
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(data() / "certs.d/registry.test/hosts.toml"); }));
  {
    Containerd containerd;
    ASSERT_TRUE(containerd.start()) << containerd.log();
    const auto pulled = containerd.pull(data() / "certs.d", "registry.test/team/app:v1", "linux/amd64");
    EXPECT_EQ(pulled.code, 0) << pulled.output;
  }
  registry.stop();
  Containerd containerd;
  ASSERT_TRUE(containerd.start()) << containerd.log();
  const auto pulled = containerd.pull(data() / "certs.d", "registry.test/team/app:v1", "linux/amd64");
  EXPECT_EQ(pulled.code, 0) << "with the registry unplugged: " << pulled.output;
}

}  // namespace
}  // namespace cistern::conformance
