#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/init/first_policy.hpp"
#include "operator/model/parse.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::init {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

model::Spec spec_of(const FirstPolicy& first) {
  const auto policies = model::parse_policies(first.yaml, "first.yaml");
  EXPECT_TRUE(policies) << policies.error().message << "\n" << first.yaml;
  return policies ? policies->front().spec : model::Spec{};
}

Facts go_facts(std::map<std::string, std::string> variables) {
  Facts facts;
  facts.go = std::move(variables);
  facts.go_source = "go env";
  return facts;
}

TEST(FirstPolicy, takes_the_proxies_in_their_order_with_what_makes_go_ask_the_next) {
  const auto spec = spec_of(first_policy(go_facts({{"GOPROXY", "https://a,https://b|https://b/x,direct,https://never"}})));
  const auto& go = spec.settings.go;
  ASSERT_EQ(go.upstreams.size(), 3U);
  EXPECT_EQ(go.upstreams[0].fallback, config::Fallback::kNotFound);
  EXPECT_EQ(go.upstreams[1].fallback, config::Fallback::kAny);
  EXPECT_EQ(go.upstreams[2].name, "b-2");
  EXPECT_TRUE(go.allow_direct);
}

TEST(FirstPolicy, never_writes_credentials) {
  auto facts = go_facts({{"GOPROXY", "https://ann:sesame@a.example/go"}});
  facts.registries.push_back({"r.example", {"https://bob:opensesame@r.example"}, false, "/etc/x"});
  const auto first = first_policy(facts);
  EXPECT_EQ(spec_of(first).settings.go.upstreams[0].url, "https://a.example/go");
  EXPECT_THAT(first.yaml, Not(HasSubstr("sesame")));
  EXPECT_THAT(first.notes, Contains(HasSubstr("GOPROXY holds credentials for https://a.example/go: they were not written")));
  for (const auto& note : first.notes) EXPECT_THAT(note, Not(HasSubstr("sesame")));
}

TEST(FirstPolicy, leaves_out_what_is_no_upstream) {
  const auto first = first_policy(go_facts({{"GOPROXY", "http://127.0.0.1:5050/go/|file:///x,https://a,off,https://b"}}));
  const auto spec = spec_of(first);
  ASSERT_EQ(spec.settings.go.upstreams.size(), 1U);
  EXPECT_FALSE(spec.settings.go.allow_direct);
  EXPECT_THAT(first.notes, Contains(HasSubstr("is Cistern itself")));
}

TEST(FirstPolicy, keeps_private_and_exempt_modules_and_the_database) {
  const auto spec = spec_of(first_policy(go_facts({{"GOPROXY", "https://a"},
                                                   {"GOPRIVATE", "*.corp.example,git.example"},
                                                   {"GONOSUMDB", "*.corp.example,x.example"},
                                                   {"GOSUMDB", "sum.golang.google.cn"}})));
  const auto& go = spec.settings.go;
  EXPECT_THAT(go.private_patterns, ElementsAre("*.corp.example", "git.example"));
  EXPECT_THAT(go.sumdb.exempt, ElementsAre("x.example"));
  EXPECT_EQ(go.sumdb.name, "sum.golang.org");
  EXPECT_EQ(go.sumdb.url, "https://sum.golang.google.cn");
  EXPECT_EQ(spec_of(first_policy(go_facts({{"GOPROXY", "https://a"}, {"GOSUMDB", "off"}}))).settings.go.sumdb.mode,
            config::SumDbMode::kOff);
}

TEST(FirstPolicy, without_go_has_an_example_and_says_so) {
  const auto first = first_policy(go_facts({}));
  EXPECT_TRUE(spec_of(first).settings.go.upstreams.empty());
  EXPECT_THAT(first.yaml, HasSubstr("#     - url: https://goproxy.io"));
  EXPECT_THAT(first.notes, Contains(HasSubstr("GOPROXY is not set")));
}

TEST(FirstPolicy, without_a_runtime_serves_the_usual_registries_from_themselves) {
  const auto spec = spec_of(first_policy(go_facts({})));
  ASSERT_EQ(spec.settings.registries.size(), 5U);
  EXPECT_EQ(spec.settings.registries[0].name, "docker.io");
  EXPECT_EQ(spec.settings.registries[0].upstreams[0].url, "https://registry-1.docker.io");
}

TEST(Registries, are_found_in_the_runtimes_files) {
  fakes::TemporaryFolder root;
  root.write("etc/containerd/config.toml", R"(version = 2
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/elsewhere"   # a comment
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."old.example"]
  endpoint = ["https://m1", 'https://m2']
)");
  root.write("etc/elsewhere/docker.io/hosts.toml",
             "[host.\"https://mirror.example\"]\n  capabilities = [\"pull\"]\n[host.\"https://push.example\"]\n"
             "  capabilities = [\"push\"]\n");
  root.write("etc/containerd/certs.d/ours.example/hosts.toml", "# managed by cistern\n[host.\"http://127.0.0.1:5050\"]\n");
  root.write("etc/containerd/certs.d/local.example:5000/hosts.toml", "server = \"http://local.example:5000\"\nskip_verify = true\n");
  root.write("etc/containers/registries.conf", R"([[registry]]
prefix = "quay.io"
location = "quay.io"
[[registry.mirror]]
location = "q.example/quay"
insecure = true
[[registry]]
prefix = "ghcr.io/team"
location = "x"
)");
  const auto found = gather_registries(root.path());
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].name, "docker.io");
  EXPECT_THAT(found[0].endpoints, ElementsAre("https://mirror.example", "https://registry-1.docker.io"));
  EXPECT_EQ(found[1].name, "old.example");
  EXPECT_THAT(found[1].endpoints, ElementsAre("https://m1", "https://m2"));
  EXPECT_EQ(found[2].name, "local.example:5000");
  EXPECT_THAT(found[2].endpoints, ElementsAre("http://local.example:5000"));
  EXPECT_EQ(found[3].name, "quay.io");
  EXPECT_THAT(found[3].endpoints, ElementsAre("http://q.example/quay", "https://quay.io"));
}

}  // namespace
}  // namespace cistern::init
