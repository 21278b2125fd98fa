// skopeo and containerd, with Debian's docker-registry as the upstream.
#include "clients_fixture.hpp"

namespace cistern::conformance {
namespace {

class ClientsImages : public ::testing::Test {
 protected:
  static inline const std::string kName = "registry.test";

  void start() {
    ASSERT_TRUE(registry.start()) << registry.log();
    for (const auto& [tag, images] :
         {std::pair{"single", small_images({"amd64"}, "one")}, std::pair{"multi", small_images({"amd64", "arm64"}, "two")}}) {
      const auto pushed = registry.push("team/app", tag, images);
      ASSERT_EQ(pushed.code, 0) << pushed.output;
    }
    // The registry has two names: one that only the agent can resolve, and its own address, at which a client can fall back to it.
    agent = std::make_unique<Agent>(AgentSetup{.images = "{registries: [{name: " + kName + ", upstreams: [{url: \"" + registry.url() +
                                                         "\"}]}, {name: \"" + registry.authority() + "\", upstreams: [{url: \"" +
                                                         registry.url() + "\"}]}]}"});
    ASSERT_TRUE(agent->start()) << agent->log();
  }
  static Ended skopeo(std::vector<std::string> arguments, const std::filesystem::path& registries = {}) {
    arguments.insert(arguments.begin(), {"skopeo", "--insecure-policy"});
    if (!registries.empty()) arguments.insert(arguments.begin() + 1, {"--registries-conf", registries.string()});
    return run({.arguments = std::move(arguments)});
  }
  void expect_cached() const { EXPECT_GE(agent->metric("cistern_store_objects").value_or(0), 3); }

  Registry registry;
  TemporaryFolder folder;
  std::unique_ptr<Agent> agent;
};

TEST_F(ClientsImages, SkopeoCopiesByPrefixAlsoWithTheRegistryGone) {
  if (const auto why = missing({"skopeo", "docker-registry"}); !why.empty()) GTEST_SKIP() << why;
  ASSERT_NO_FATAL_FAILURE(start());
  const auto base = "docker://" + agent->node().text() + "/" + kName + "/team/app:";
  for (const auto* round : {"cold", "warm"}) {
    for (const auto* tag : {"single", "multi"}) {
      const auto to = "dir:" + (folder / (std::string(round) + tag)).string();
      const auto copied = skopeo({"copy", "--all", "--src-tls-verify=false", base + tag, to});
      EXPECT_EQ(copied.code, 0) << round << " " << tag << ": " << copied.output;
    }
    registry.stop();
  }
  EXPECT_EQ(read_file(folder / "coldmulti/manifest.json"), read_file(folder / "warmmulti/manifest.json"));
  expect_cached();
}

TEST_F(ClientsImages, SkopeoCopiesThroughAMirrorInRegistriesConf) {
  if (const auto why = missing({"skopeo", "docker-registry"}); !why.empty()) GTEST_SKIP() << why;
  ASSERT_NO_FATAL_FAILURE(start());
  write_file(folder / "registries.conf", "[[registry]]\nprefix = \"" + kName + "\"\nlocation = \"" + kName +
                                             "\"\n[[registry.mirror]]\nlocation = \"" + agent->node().text() + "/" + kName +
                                             "\"\ninsecure = true\n");
  const auto copied =
      skopeo({"copy", "--all", "docker://" + kName + "/team/app:multi", "dir:" + (folder / "out").string()}, folder / "registries.conf");
  EXPECT_EQ(copied.code, 0) << copied.output;
  expect_cached();
}

TEST_F(ClientsImages, ContainerdPullsThroughHostsTomlAlsoWithTheRegistryGone) {
  if (const auto why = missing({"skopeo", "docker-registry", "containerd", "ctr"}, true); !why.empty()) GTEST_SKIP() << why;
  ASSERT_NO_FATAL_FAILURE(start());
  write_hosts(folder / "certs.d", kName, agent->node(), true);
  {
    Containerd containerd;
    ASSERT_TRUE(containerd.start()) << containerd.log();
    for (const auto* tag : {"single", "multi"}) {
      const auto pulled =
          containerd.pull(folder / "certs.d", kName + "/team/app:" + tag, tag == std::string("multi") ? "linux/arm64" : "linux/amd64");
      EXPECT_EQ(pulled.code, 0) << tag << ": " << pulled.output;
    }
  }
  registry.stop();
  Containerd containerd;  // another one, which has nothing yet
  ASSERT_TRUE(containerd.start()) << containerd.log();
  const auto pulled = containerd.pull(folder / "certs.d", kName + "/team/app:multi", "linux/arm64");
  EXPECT_EQ(pulled.code, 0) << pulled.output << agent->log();
  expect_cached();
}

TEST_F(ClientsImages, Case23_WithTheAgentDownContainerdFallsBackAndStrictModeFails) {
  if (const auto why = missing({"skopeo", "docker-registry", "containerd", "ctr"}, true); !why.empty()) GTEST_SKIP() << why;
  ASSERT_NO_FATAL_FAILURE(start());
  Containerd containerd;
  ASSERT_TRUE(containerd.start()) << containerd.log();
  const auto reference = registry.authority() + "/team/app:single";
  write_hosts(folder / "open", registry.authority(), agent->node(), false);
  write_hosts(folder / "strict", registry.authority(), agent->node(), true);
  auto pulled = containerd.pull(folder / "strict", reference, "linux/amd64");
  EXPECT_EQ(pulled.code, 0) << "with the agent up: " << pulled.output;
  agent->kill();
  EXPECT_EQ(containerd.ctr({"images", "remove", reference}).code, 0);
  pulled = containerd.pull(folder / "strict", reference, "linux/amd64");
  EXPECT_NE(pulled.code, 0) << pulled.output;
  pulled = containerd.pull(folder / "open", reference, "linux/amd64");
  EXPECT_EQ(pulled.code, 0) << pulled.output;
}

}  // namespace
}  // namespace cistern::conformance
