#include "operator/render/environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/checks.hpp"
#include "operator/render/runtime.hpp"

namespace cistern::render {
namespace {

using testing::Pair;
using testing::UnorderedElementsAre;

model::GoUpstream upstream(const std::string& name, std::vector<std::string> match) {
  model::GoUpstream result;
  result.name = name;
  result.url = "https://" + name;
  result.match = std::move(match);
  return result;
}

model::Go go_with_upstream() {
  model::Go go;
  go.upstreams.push_back(upstream("main", {"*"}));
  return go;
}

TEST(GoEnvironment, without_upstreams_is_empty) { EXPECT_TRUE(go_environment({}, "http://h:1").empty()); }

TEST(GoEnvironment, goes_past_nothing) {
  EXPECT_THAT(go_environment(go_with_upstream(), "http://h:1"),
              UnorderedElementsAre(Pair("GOPROXY", "http://h:1/go/"), Pair("GONOPROXY", "none"), Pair("GOSUMDB", "sum.golang.org")));
}

TEST(GoEnvironment, direct_comes_last_where_it_is_allowed) {
  auto go = go_with_upstream();
  go.allow_direct = true;
  EXPECT_EQ(go_environment(go, "http://h:1").at("GOPROXY"), "http://h:1/go/|direct");
}

TEST(GoEnvironment, private_modules_that_no_upstream_serves_go_past_the_agent) {
  auto go = go_with_upstream();
  go.private_patterns = {"*.corp.example", "git.other.example/team"};
  EXPECT_EQ(go_environment(go, "").at("GONOPROXY"), "*.corp.example,git.other.example/team");
  go.upstreams.push_back(upstream("corp", {"*.corp.example"}));
  EXPECT_EQ(go_environment(go, "").at("GONOPROXY"), "git.other.example/team");
  go.upstreams.push_back(upstream("other", {"git.other.example"}));
  EXPECT_EQ(go_environment(go, "").at("GONOPROXY"), "none");
  EXPECT_EQ(go_environment(go, "").at("GOPRIVATE"), "*.corp.example,git.other.example/team");
}

TEST(GoEnvironment, private_and_exempt_modules_are_not_looked_up) {
  auto go = go_with_upstream();
  go.private_patterns = {"a.example"};
  go.sumdb.exempt = {"b.example"};
  EXPECT_EQ(go_environment(go, "").at("GONOSUMDB"), "a.example,b.example");
}

TEST(GoEnvironment, a_database_that_go_does_not_know_is_given_with_its_key) {
  auto go = go_with_upstream();
  go.sumdb.name = "sum.example";
  go.sumdb.key = "sum.example+01234567+x";
  EXPECT_EQ(go_environment(go, "").at("GOSUMDB"), "sum.example+01234567+x");
  go.sumdb.mode = config::SumDbMode::kOff;
  EXPECT_EQ(go_environment(go, "").at("GOSUMDB"), "off");
  EXPECT_FALSE(go_environment(go, "").contains("GONOSUMDB"));
}

TEST(HostsToml, leaves_the_registry_as_the_last_host_or_names_the_agent_alone) {
  model::Registry registry;
  registry.name = "docker.io";
  EXPECT_EQ(hosts_toml(registry, "http://127.0.0.1:5050"),
            "# managed by cistern\n[host.\"http://127.0.0.1:5050\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
  registry.fallback_to_source = false;
  EXPECT_EQ(hosts_toml(registry, "http://127.0.0.1:5050"),
            "# managed by cistern\nserver = \"http://127.0.0.1:5050\"\ncapabilities = [\"pull\", \"resolve\"]\n\n"
            "[host.\"http://127.0.0.1:5050\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
}

}  // namespace
}  // namespace cistern::render
