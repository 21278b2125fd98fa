// A Secret as kubelet mounts it: flat, swapped by a symbolic link; and the same in memory, as the operator has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "config/watch.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::config {
namespace {

namespace fs = std::filesystem;
using fakes::TemporaryFolder;

using Contents = std::map<std::string, std::string>;

Contents secret(const std::string& password) {
  return {{"agent.yaml",
           "listeners: {pods: \"127.0.0.1:0\"}\nstorage: {path: /cache}\n"
           "go: {views: [{upstreams: [{url: \"https://a.example\", credentials: corp}]}]}\n"
           "images:\n  registries:\n  - name: r.example\n    upstreams: [{url: \"https://r.example\", credentials: hub}]\n"
           "peers: {enabled: true, dns: \"peers.example:5050\", keyFile: peer.key}\n"},
          {"corp.username", "ann"},
          {"corp.password", password},
          {"corp.unrelated", "1"},
          {"hub..dockerconfigjson", R"({"auths": {"r.example": {"username": "bob", "password": "pw"}}})"},
          {"peer.key", "0123456789abcdef"},
          {"peer.key.previous", "fedcba9876543210"}};
}

// As kubelet does: a folder with the files, `..data` that points to it, and a link for each file.
void mount(const TemporaryFolder& folder, const std::string& generation, const Contents& contents) {
  for (const auto& [name, content] : contents) folder.write(generation + "/" + name, content);
  fs::create_symlink(generation, folder.path() / "..data_tmp");
  fs::rename(folder.path() / "..data_tmp", folder.path() / "..data");
  for (const auto& [name, content] : contents) {
    if (!fs::is_symlink(folder.path() / name)) fs::create_symlink("..data/" + name, folder.path() / name);
  }
}

TEST(MountedSecret, credentials_are_found_in_files_beside_the_configuration) {
  const auto loaded = load_mounted(secret("sesame"), "/etc/cistern");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.go_views[0].upstreams[0].credentials, (Credentials{"ann", "sesame", ""}));
  EXPECT_EQ(loaded->config.registries[0].upstreams[0].credentials, (Credentials{"bob", "pw", ""}));
  EXPECT_EQ(loaded->config.peers.previous_key, "fedcba9876543210");
  EXPECT_THAT(loaded->files, testing::Contains("/etc/cistern/corp.token")) << "one that comes later is watched for";
}

TEST(MountedSecret, has_the_same_configuration_and_hash_in_memory_as_mounted) {
  TemporaryFolder folder;
  mount(folder, "..1", secret("sesame"));
  const auto mounted = load(folder.path() / "agent.yaml");
  ASSERT_TRUE(mounted) << mounted.error().message;
  const auto in_memory = load_mounted(secret("sesame"), folder.path());
  ASSERT_TRUE(in_memory) << in_memory.error().message;
  EXPECT_EQ(in_memory->config, mounted->config);
  EXPECT_EQ(in_memory->hash, mounted->hash);
  EXPECT_EQ(in_memory->files, mounted->files);
  EXPECT_EQ(load_mounted(secret("sesame"), "/etc/cistern")->hash, mounted->hash) << "wherever it is mounted";
  EXPECT_NE(load_mounted(secret("other"), "/etc/cistern")->hash, mounted->hash);
}

TEST(MountedSecret, a_swap_is_seen_once_and_gives_the_new_contents) {
  TemporaryFolder folder;
  mount(folder, "..1", secret("sesame"));
  const auto file = folder.path() / "agent.yaml";
  const auto before = load(file);
  ASSERT_TRUE(before) << before.error().message;
  FileWatch watch;
  watch.watch(before->files);
  EXPECT_FALSE(watch.changed());
  auto next = secret("changed");
  next["corp.token"] = "t";  // a key that was not there
  mount(folder, "..2", next);
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  const auto after = load(file);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->config.go_views[0].upstreams[0].credentials, (Credentials{"ann", "changed", "t"}));
  EXPECT_EQ(after->hash, load_mounted(next, folder.path())->hash);
}

TEST(MountedSecret, a_swap_to_equal_contents_keeps_the_hash) {
  TemporaryFolder folder;
  mount(folder, "..1", secret("sesame"));
  const auto before = load(folder.path() / "agent.yaml");
  mount(folder, "..2", secret("sesame"));
  EXPECT_EQ(load(folder.path() / "agent.yaml")->hash, before->hash);
}

TEST(MountedSecret, a_folder_with_credentials_goes_before_files_beside_it) {
  auto contents = secret("sesame");
  contents["corp/token"] = "from the folder";
  const auto loaded = load_mounted(contents, "/etc/cistern");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.go_views[0].upstreams[0].credentials, (Credentials{"", "", "from the folder"}));
}

TEST(MountedSecret, what_is_wrong_with_credentials_names_them_and_never_what_they_hold) {
  const auto message = [](const std::string& key, const std::string& content) {
    auto contents = secret("sesame");
    contents.erase("corp.username");
    contents.erase("corp.password");
    if (!key.empty()) contents[key] = content;
    const auto loaded = load_mounted(contents, "/m");
    return loaded ? "" : loaded.error().message;
  };
  const std::string path = "agent.yaml:3: go.views[0].upstreams[0].credentials: /m/corp";
  EXPECT_EQ(message("", ""), path + " holds no credentials; put the files username and password there, or token, or .dockerconfigjson");
  EXPECT_EQ(message("corp.password", "sesame"), path + ": there is a password without a username");
  EXPECT_EQ(message("corp.token", "sesa\nme"), path + ": token holds more than one line");
  EXPECT_EQ(message("corp..dockerconfigjson", R"({"auths": {"other": {"username": "sesame"}}})"),
            path + ": .dockerconfigjson: has no entry for a.example");
}

}  // namespace
}  // namespace cistern::config
