#include "operator/node/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/plan/cluster.hpp"
#include "operator/render/node_config.hpp"

namespace cistern::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Config example() {
  Config config;
  config.group = "default";
  config.policy = "default";
  config.runtimes = {"containerd", "crio"};
  config.listen = "127.0.0.1:5050";
  config.mirror = "http://127.0.0.1:5050";
  config.registries = {{"docker.io", false}, {"registry.example:5000", true}};
  config.storage_path = "/var/lib/cistern/default";
  config.hash = hash_of(config);
  return config;
}

TEST(NodeConfig, IsReadAsItIsWritten) {
  const auto read = parse_config(to_text(example()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, example());
}

TEST(NodeConfig, ItsHashIsThatOfEverythingInIt) {
  auto other = example();
  other.registries[0].strict = true;
  EXPECT_NE(hash_of(other), hash_of(example()));
  auto object = to_json(example());
  object["storage"]["onDelete"] = "Keep";
  EXPECT_THAT(parse_config(object.dump()).error().message, HasSubstr("is not that of the content"));
}

TEST(NodeConfig, WhatIsWrongIsNamed) {
  const auto problem = [](const char* pointer, const nlohmann::json& value) {
    auto object = to_json(example());
    object[nlohmann::json::json_pointer(pointer)] = value;
    const auto read = parse_config(object.dump());
    return read ? std::string("accepted") : read.error().message;
  };
  EXPECT_THAT(parse_config("{").error().message, HasSubstr("no JSON"));
  EXPECT_THAT(parse_config("{}").error().message, HasSubstr("group is missing"));
  EXPECT_THAT(problem("/mode", "Maybe"), HasSubstr("mode must be Apply, Report or Off"));
  EXPECT_THAT(problem("/mirorr", "x"), HasSubstr("mirorr is not known to this version"));
  EXPECT_THAT(problem("/mirror", "http://elsewhere:1"), HasSubstr("mirror must be http:// and what `listen` says"));
  EXPECT_THAT(problem("/runtimes", nlohmann::json::array({"docker"})), HasSubstr("runtimes may hold containerd and crio"));
  EXPECT_THAT(problem("/registries/0/name", "a/../b"), HasSubstr("registries[0].name must be a registry's HOST"));
  EXPECT_THAT(problem("/registries/0/name", ".."), HasSubstr("registries[0].name"));
  EXPECT_THAT(problem("/registries/1/name", "docker.io"), HasSubstr("registries[1].name is there twice"));
  EXPECT_THAT(problem("/registries/1/strict", "yes"), HasSubstr("registries[1].strict must be true or false"));
  EXPECT_THAT(problem("/storage/path", "/"), HasSubstr("storage.path must be absolute"));
  EXPECT_THAT(problem("/storage/path", "/var/lib/../../etc"), HasSubstr("storage.path must be absolute"));
  EXPECT_THAT(problem("/storage/onDelete", "Maybe"), HasSubstr("storage.onDelete must be Delete or Keep"));
}

TEST(RenderNodeConfig, KeepsInFallbackWhatStartsBeforeTheAgent) {
  plan::Group group;
  group.name = "default-cn";
  group.policy = "default";
  auto& settings = group.effective.settings;
  settings.registries.resize(2);
  settings.registries[0].name = "docker.io";
  settings.registries[1].name = "registry.k8s.io";
  for (auto& registry : settings.registries) registry.fallback_to_source = false;
  const auto config = render::node_config(group, {"registry.k8s.io"});
  EXPECT_THAT(config.registries, ElementsAre(RegistryConfig{"docker.io", true}, RegistryConfig{"registry.k8s.io", false}));
  EXPECT_THAT(render::kept_in_fallback(group, {"registry.k8s.io"}), ElementsAre("registry.k8s.io"));
  EXPECT_EQ(config.storage_path, "/var/lib/cistern/default");
  EXPECT_THAT(config.runtimes, ElementsAre("containerd", "crio"));
  const auto read = parse_config(to_text(config));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, config);
}

}  // namespace
}  // namespace cistern::node
