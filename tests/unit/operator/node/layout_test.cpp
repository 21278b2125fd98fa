#include "operator/node/layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/runtime_files/hosts_toml.hpp"
#include "operator/runtime_files/registries_conf.hpp"
#include "tests/unit/operator/node/tree.hpp"

namespace cistern::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const HostFacts kContainerd{"containerd://1.7.2", "Debian GNU/Linux 12", "v1.34.2"};
const HostFacts kContainerd22{"containerd://2.2.0", "Debian GNU/Linux 13", "v1.34.2"};
const HostFacts kCrio{"cri-o://1.30.1", "Fedora CoreOS", "v1.34.2"};
constexpr const char* kConfigFile = "/etc/containerd/config.toml";
const std::string kCerts = "/etc/containerd/certs.d/";

Config config_with(std::vector<RegistryConfig> registries) {
  Config config;
  config.runtimes = {"containerd", "crio"};
  config.listen = "127.0.0.1:5050";
  config.mirror = "http://127.0.0.1:5050";
  config.registries = std::move(registries);
  return config;
}

class LayoutTest : public testing::Test {
 protected:
  LayoutTest() {
    tree_.write(kConfigFile, "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n");
  }
  Layout lay(const Config& config, const HostFacts& facts = kContainerd) {
    if (!keeper_) keeper_.emplace(std::move(*Keeper::open(files_, tree_.root(), kState)));
    return lay_out(tree_.root(), config, detect(tree_.root(), facts, config, kConfigFile), *keeper_);
  }
  std::vector<std::string> asked(const std::string& content) {
    std::vector<std::string> urls;
    const auto parsed = runtime_files::parse_hosts_toml(content);
    EXPECT_TRUE(parsed) << content;
    for (const auto& host : parsed->hosts) urls.push_back(host.url);
    if (!parsed->server.empty()) urls.push_back("server " + parsed->server);
    return urls;
  }

  Tree tree_;
  RealFileSystem files_;
  std::optional<Keeper> keeper_;
};

// After a reboot its image is pulled before any agent runs.
TEST_F(LayoutTest, TheSandboxImagesRegistryIsNeverStrict) {
  const auto kept = [&](const HostFacts& facts) {
    const auto config = config_with({{"registry.k8s.io", true}, {"registry.example:5000", true}, {"quay.io", true}});
    const auto detection = detect(tree_.root(), facts, config, kConfigFile);
    std::vector<std::string> names;
    for (const auto& registry : config.registries) {
      if (!detection.may_be_strict(registry.name)) names.push_back(registry.name);
    }
    const auto layout = lay(config, facts);
    for (const auto& file : layout.files) {
      const bool soft = file.path == kCerts + (names.empty() ? "" : names.front()) + "/hosts.toml";
      if (facts.runtime.starts_with("containerd")) EXPECT_EQ(file.content == file.fallback, soft) << file.path;
    }
    return names;
  };
  EXPECT_THAT(kept(kContainerd), ElementsAre("registry.k8s.io")) << "the runtime's default";
  tree_.write(
      kConfigFile,
      "version = 2\nimports = ['/etc/containerd/conf.d/*.toml']\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'quay.io/pause:3'\n"
      "[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = '/etc/containerd/certs.d'\n");
  EXPECT_THAT(kept(kContainerd), ElementsAre("quay.io"));
  tree_.write("/etc/containerd/conf.d/pause.toml",
              "[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'registry.example:5000/pause:3'\n");
  EXPECT_THAT(kept(kContainerd), ElementsAre("registry.example:5000"));
  tree_.write(kConfigFile,
              "version = 3\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = 'quay.io/pause:3'\n"
              "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n");
  EXPECT_THAT(kept(kContainerd22), ElementsAre("quay.io"));
  EXPECT_THAT(kept(kCrio), ElementsAre("registry.k8s.io"));
  tree_.write("/etc/crio/crio.conf.d/10-pause.conf", "[crio.image]\npause_image = \"registry.example:5000/pause\"\n");
  EXPECT_THAT(kept(kCrio), ElementsAre("registry.example:5000"));
}

TEST_F(LayoutTest, AFileForEachRegistryStrictOnesLast) {
  const auto layout = lay(config_with({{"strict.example", true}, {"docker.io", false}, {"registry.example:5000", false}}));
  ASSERT_EQ(layout.files.size(), 3U);
  EXPECT_EQ(layout.files[0].path, kCerts + "docker.io/hosts.toml");
  EXPECT_EQ(layout.files[0].content, "# managed by cistern\n\n[host.\"http://127.0.0.1:5050\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
  EXPECT_EQ(layout.files[1].path, kCerts + "registry.example:5000/hosts.toml");
  EXPECT_EQ(layout.files[2].path, kCerts + "strict.example/hosts.toml");
  EXPECT_THAT(asked(layout.files[2].content), ElementsAre("http://127.0.0.1:5050", "server http://127.0.0.1:5050"));
  EXPECT_THAT(asked(layout.files[2].fallback), ElementsAre("http://127.0.0.1:5050"));
}

TEST_F(LayoutTest, WhatContainerdAskedBeforeItAsksAfterTheAgent) {
  tree_.write(
      kCerts + "docker.io/hosts.toml",
      "server = \"https://corp.example\"\nca = \"corp.crt\"\n[host.\"https://z.example\"]\ncapabilities = [\"pull\"]\n"
      "client = [[\"a.cert\", \"/abs/a.key\"]]\n[host.\"https://z.example\".header]\nx-token = \"1\"\n[host.\"https://a.example\"]\n");
  const auto content = lay(config_with({{"docker.io", false}})).files.at(0).content;
  EXPECT_THAT(asked(content),
              ElementsAre("http://127.0.0.1:5050", "https://z.example", "https://a.example", "server https://corp.example"));
  EXPECT_THAT(content, HasSubstr("\"ca\" = \"" + kCerts + "docker.io/corp.crt\""));
  EXPECT_THAT(content, HasSubstr(kCerts + "docker.io/a.cert"));
  EXPECT_THAT(content, HasSubstr("\"x-token\" = \"1\""));
  // And the same once ours is in place of it.
  const auto layout = lay(config_with({{"docker.io", false}}));
  ASSERT_TRUE(keeper_->apply(layout.files, Form::kFull, ""));
  EXPECT_EQ(lay(config_with({{"docker.io", false}})).files.at(0).content, content);
}

TEST_F(LayoutTest, CertificatesThatContainerdWouldNoLongerLookForAreNamed) {
  tree_.write(kCerts + "registry.example_5000_/ca.crt", "x");
  tree_.write(kCerts + "registry.example_5000_/me.cert", "x");
  tree_.write(kCerts + "registry.example_5000_/me.key", "x");
  const auto file = lay(config_with({{"registry.example:5000", false}})).files.at(0);
  // The folder that containerd looks into first.
  EXPECT_EQ(file.path, kCerts + "registry.example_5000_/hosts.toml");
  EXPECT_THAT(file.content, HasSubstr("ca = [\"" + kCerts + "registry.example_5000_/ca.crt\"]"));
  EXPECT_THAT(file.content,
              HasSubstr("client = [[\"" + kCerts + "registry.example_5000_/me.cert\", \"" + kCerts + "registry.example_5000_/me.key\"]]"));
}

TEST_F(LayoutTest, AFolderOfOursDoesNotHideWhatDefaultSays) {
  tree_.write(kCerts + "_default/hosts.toml", "[host.\"https://all.example\"]\nca = \"all.crt\"\n");
  const auto config = config_with({{"docker.io", false}});
  const auto first = lay(config);
  EXPECT_THAT(asked(first.files.at(0).content), ElementsAre("http://127.0.0.1:5050", "https://all.example"));
  EXPECT_THAT(first.files.at(0).content, HasSubstr(kCerts + "_default/all.crt"));
  ASSERT_TRUE(keeper_->apply(first.files, Form::kFull, ""));
  EXPECT_EQ(lay(config).files.at(0).content, first.files.at(0).content);
  // A folder of others hides it without us, too.
  tree_.write(kCerts + "quay.io/note", "x");
  EXPECT_THAT(asked(lay(config_with({{"quay.io", false}})).files.at(0).content), ElementsAre("http://127.0.0.1:5050"));
}

TEST_F(LayoutTest, LinksAreFollowedWithinTheHost) {
  tree_.write("/opt/certs/docker.io/hosts.toml", "[host.\"https://one.example\"]\n");
  tree_.link("/opt/certs/quay.io", "docker.io");
  fs::remove_all(tree_.at(kCerts));
  fs::create_symlink("/opt/certs", tree_.root() / "etc/containerd/certs.d");
  const auto layout = lay(config_with({{"docker.io", false}, {"quay.io", false}}));
  ASSERT_EQ(layout.files.size(), 1U);
  EXPECT_EQ(layout.files[0].path, "/opt/certs/docker.io/hosts.toml");
  EXPECT_THAT(asked(layout.files[0].content), ElementsAre("http://127.0.0.1:5050", "https://one.example"));
  ASSERT_EQ(layout.findings.size(), 1U);
  EXPECT_THAT(layout.findings[0].message, HasSubstr("quay.io shares"));
}

TEST_F(LayoutTest, AFileThatContainerdCanNotReadIsPassedOverAsItDoes) {
  tree_.write(kCerts + "docker.io/hosts.toml", "server = \n");
  EXPECT_THAT(asked(lay(config_with({{"docker.io", false}})).files.at(0).content), ElementsAre("http://127.0.0.1:5050"));
}

TEST_F(LayoutTest, CrioGetsOneDropInAfterWhichItAsksWhatItAskedBefore) {
  tree_.write("/etc/containers/registries.conf.d/010.conf",
              "[[registry]]\nprefix = \"docker.io\"\nlocation = \"corp.example/hub\"\n[[registry.mirror]]\nlocation = \"m.example\"\n"
              "[[registry]]\nprefix = \"bad.example\"\nblocked = true\n");
  tree_.write("/etc/containers/registries.conf.d/zzz.conf", "[[registry]]\nprefix = \"late.example\"\n");
  const auto layout = lay(config_with({{"docker.io", false}, {"bad.example", false}, {"late.example", false}, {"s.example", true}}), kCrio);
  ASSERT_EQ(layout.files.size(), 1U);
  EXPECT_EQ(layout.files[0].path, kCrioFile);
  const auto entries = runtime_files::parse_registries_conf(layout.files[0].content);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ(entries->at(0).location, "corp.example/hub");
  ASSERT_EQ(entries->at(0).mirrors.size(), 2U);
  EXPECT_EQ(entries->at(0).mirrors[0].location, "127.0.0.1:5050/docker.io");
  EXPECT_TRUE(entries->at(0).mirrors[0].insecure);
  EXPECT_EQ(entries->at(0).mirrors[1].location, "m.example");
  EXPECT_EQ(entries->at(2).location, "127.0.0.1:5050/s.example");
  EXPECT_EQ(runtime_files::parse_registries_conf(layout.files[0].fallback)->at(2).location, "s.example");
  ASSERT_EQ(layout.findings.size(), 2U);
  EXPECT_THAT(layout.findings[0].message, HasSubstr("bad.example is blocked by /etc/containers/registries.conf.d/010.conf"));
  EXPECT_THAT(layout.findings[1].message, HasSubstr("counts more than"));
}

class DetectTest : public testing::Test {
 protected:
  Detection detect_now(const HostFacts& facts, bool configure = false) {
    auto config = config_with({{"docker.io", false}, {"quay.io", false}});
    config.configure_containerd = configure;
    return detect(tree_.root(), facts, config, kConfigFile);
  }
  void expect_blocked(const HostFacts& facts, const std::string& reason, const std::string& words) {
    const auto found = detect_now(facts);
    ASSERT_FALSE(found.findings.empty()) << words;
    EXPECT_TRUE(found.blocked());
    EXPECT_EQ(found.findings[0].reason, reason);
    EXPECT_THAT(found.summary(), HasSubstr(words));
  }
  Tree tree_;
};

TEST_F(DetectTest, ContainerdIsReadyWithAConfigPath) {
  tree_.write(kConfigFile, "version = 2\nimports = [\"conf.d/*.toml\"]\n");
  tree_.write("/etc/containerd/conf.d/a.toml", "[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/a:/b\"\n");
  const auto found = detect_now(kContainerd);
  EXPECT_THAT(found.hosts_folders, ElementsAre("/a", "/b"));
  EXPECT_THAT(found.findings, IsEmpty());
  tree_.write(kConfigFile, "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/c'\n");
  EXPECT_THAT(detect_now(kContainerd22).hosts_folders, ElementsAre("/c"));
}

TEST_F(DetectTest, AMissingConfigPathMeansTheUsualFolderFrom2Point2OnOnly) {
  EXPECT_THAT(detect_now(kContainerd22).hosts_folders, ElementsAre("/etc/containerd/certs.d"));
  expect_blocked(kContainerd, "ConfigPathMissing", "[plugins.\"io.containerd.grpc.v1.cri\".registry] config_path");
  expect_blocked({"containerd://2.1.4", "", ""}, "ConfigPathMissing", "[plugins.\"io.containerd.cri.v1.images\".registry] config_path");
  tree_.write(kConfigFile, "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = ''\n");
  expect_blocked(kContainerd22, "ConfigPathMissing", "config_path");
}

TEST_F(DetectTest, RegistryMirrorsAreNeverJoinedByAConfigPath) {
  tree_.write(kConfigFile,
              "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"https://m\"]\n");
  expect_blocked(kContainerd, "RegistryMirrorsInUse", "move them to");
  EXPECT_FALSE(detect_now(kContainerd, true).config_edit);
}

TEST_F(DetectTest, SystemsThatWriteTheirOwnFilesAreToldWhatToSet) {
  expect_blocked({"containerd://1.7.2-k3s1", "Debian", "v1.30.4+k3s1"}, "WritesItsOwnFiles", "/etc/rancher/k3s/registries.yaml");
  expect_blocked({"containerd://1.7.2", "Debian", "v1.30.4+rke2r1"}, "WritesItsOwnFiles", "/etc/rancher/rke2/registries.yaml");
  expect_blocked({"containerd://1.7.2", "Talos (v1.8.0)", "v1.30.4"}, "WritesItsOwnFiles", "machine.registries.mirrors");
  expect_blocked({"containerd://1.7.2", "Bottlerocket OS 1.20.0", "v1.30.4"}, "WritesItsOwnFiles", "settings.container-registry.mirrors");
  expect_blocked({"docker://26.0.0", "Debian", "v1.30.4"}, "UnknownRuntime", "/etc/docker/daemon.json");
  expect_blocked({"frakti://1", "Debian", "v1.30.4"}, "UnknownRuntime", "frakti://1");
  expect_blocked({}, "UnknownRuntime", "unknown");
}

TEST_F(DetectTest, ABrokenConfigurationIsSaid) {
  tree_.write(kConfigFile, "version = \n");
  expect_blocked(kContainerd, "ConfigInvalid", "/etc/containerd/config.toml: line 1");
}

TEST_F(DetectTest, ConfigPathIsAddedOnlyWhenAskedForAndNothingElseChanges) {
  const std::string before = "version = 2\n# note\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  x = 1\n[debug]\nlevel = \"info\"\n";
  tree_.write(kConfigFile, before);
  EXPECT_FALSE(detect_now(kContainerd).config_edit);
  const auto found = detect_now(kContainerd, true);
  ASSERT_TRUE(found.config_edit) << found.summary();
  EXPECT_FALSE(found.blocked());
  EXPECT_EQ(*found.config_edit,
            "version = 2\n# note\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n"
            "  x = 1\n[debug]\nlevel = \"info\"\n");
  tree_.write(kConfigFile, "version = 2\n[plugins]\n  [plugins.'io.containerd.grpc.v1.cri'.registry]\n    config_path = ''\n    y = 2");
  EXPECT_EQ(
      *detect_now(kContainerd, true).config_edit,
      "version = 2\n[plugins]\n  [plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = \"/etc/containerd/certs.d\"\n    y = 2\n");
  tree_.write(kConfigFile, "version = 2\n");
  EXPECT_THAT(*detect_now(kContainerd, true).config_edit, HasSubstr("[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path"));
  tree_.write(kConfigFile, "version = 2\nplugins = {\"io.containerd.grpc.v1.cri\" = {registry = {x = 1}}}\n");
  EXPECT_FALSE(detect_now(kContainerd, true).config_edit);
  EXPECT_TRUE(detect_now(kContainerd, true).blocked());
}

}  // namespace
}  // namespace cistern::node
