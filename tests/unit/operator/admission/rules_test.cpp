#include "operator/admission/rules.hpp"

#include <gmock/gmock.h>

#include "tests/unit/operator/admission/world.hpp"

namespace cistern::admission {
namespace {

using test::kGo;
using test::policy;
using test::rules_of;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Pair;

TEST(Told, is_the_services_url_alone_and_names_no_proxy_for_nothing) {
  const auto rules = rules_of(policy("name: default", kGo), {});
  EXPECT_THAT(rules.policies.at("default").base.variables,
              ElementsAre(Pair("GONOPROXY", "none"), Pair("GOPROXY", "http://cistern-default.cistern-system.svc:5050/go/"),
                          Pair("GOSUMDB", "sum.golang.org")));
}

TEST(Told, of_a_policy_whose_name_is_no_label_has_its_services_name) {
  const auto rules = rules_of(policy("name: build.farm", kGo), {});
  EXPECT_EQ(rules.policies.at("build.farm").base.variables.at("GOPROXY"), "http://cistern-build-farm-c7d46653.cistern-system.svc:5050/go/");
}

TEST(Told, of_a_profile_has_its_view_its_rules_and_its_injection) {
  const auto rules =
      rules_of(policy("name: default",
                      std::string(kGo) + ", injection: {env: {A: base, B: base}}, profiles: {dev: {go: {private: [corp.example], "
                                         "allowDirect: true}, injection: {mode: OptIn, env: {B: dev}}}, off: {go: {sumDB: {mode: Off}}}}"),
               {});
  const auto& profiles = rules.policies.at("default").profiles;
  EXPECT_THAT(profiles.at("dev").variables, ElementsAre(Pair("A", "base"), Pair("B", "dev"), Pair("GONOPROXY", "corp.example"),
                                                        Pair("GONOSUMDB", "corp.example"), Pair("GOPRIVATE", "corp.example"),
                                                        Pair("GOPROXY", "http://cistern-default.cistern-system.svc:5050/go/~dev/|direct"),
                                                        Pair("GOSUMDB", "sum.golang.org")));
  EXPECT_EQ(profiles.at("dev").mode, model::InjectionMode::kOptIn);
  EXPECT_EQ(profiles.at("off").variables.at("GOSUMDB"), "off");
  EXPECT_EQ(profiles.at("off").variables.at("B"), "base");
}

TEST(Told, puts_what_the_policy_writes_above_what_is_made) {
  const auto rules = rules_of(policy("name: default", std::string(kGo) + ", injection: {env: {GOSUMDB: \"off\", GOFLAGS: -mod=mod}}"), {});
  const auto& told = rules.policies.at("default").base.variables;
  EXPECT_EQ(told.at("GOSUMDB"), "off");
  EXPECT_EQ(told.at("GOFLAGS"), "-mod=mod");
}

TEST(Told, leaves_out_a_region_since_a_pods_node_is_unknown) {
  const auto rules = rules_of(
      policy("name: default", std::string(kGo) + ", regions: {cn: {go: {upstreams: [{url: \"https://goproxy.cn\"}]}}}"), {}, {"cn", "eu"});
  EXPECT_EQ(rules.policies.at("default").base.variables.at("GOPROXY"), "http://cistern-default.cistern-system.svc:5050/go/");
}

TEST(Told, counts_a_private_pattern_as_served_only_where_every_regions_agents_serve_it) {
  const std::string corp = "{url: \"https://go.corp\", match: [\"*.corp\"]}";
  const auto spec = "go: {private: [\"*.corp\"], upstreams: [" + corp +
                    ", {url: \"https://a\"}]}, regions: {cn: {go: {upstreams: [{url: \"https://b\"}]}}}";
  EXPECT_EQ(rules_of(policy("name: p", spec), {}, {"eu"}).policies.at("p").base.variables.at("GONOPROXY"), "none");
  EXPECT_EQ(rules_of(policy("name: p", spec), {}, {"cn", "eu"}).policies.at("p").base.variables.at("GONOPROXY"), "*.corp");
}

TEST(Told, has_no_go_where_some_agents_serve_none_and_says_which) {
  const auto spec =
      "regions: {cn: {go: {upstreams: [{url: \"https://goproxy.cn\"}]}}, eu: {}}, injection: {env: {A: b}}, profiles: {dev: {}}";
  const auto mixed = rules_of(policy("name: p", spec), {}, {"cn", "eu"});
  EXPECT_THAT(mixed.policies.at("p").base.variables, ElementsAre(Pair("A", "b")));
  EXPECT_THAT(mixed.policies.at("p").base.no_go, HasSubstr("p-eu"));
  const auto everywhere = rules_of(policy("name: p", spec), {}, {"cn"});
  EXPECT_THAT(everywhere.policies.at("p").base.variables, Contains(Key("GOPROXY")));
  EXPECT_THAT(everywhere.policies.at("p").profiles.at("dev").variables.at("GOPROXY"), HasSubstr("/go/~dev/"));
}

TEST(Told, of_a_policy_without_nodes_is_what_it_says) {
  const auto rules = rules_of(policy("name: p", std::string(kGo) + ", profiles: {dev: {}}"), {}, {});
  EXPECT_THAT(rules.policies.at("p").base.variables, Contains(Key("GOPROXY")));
  EXPECT_THAT(rules.policies.at("p").profiles.at("dev").variables.at("GOPROXY"), HasSubstr("/go/~dev/"));
  const auto none = rules_of(policy("name: p", "retries: 1"), {}, {});
  EXPECT_THAT(none.policies.at("p").base.variables, IsEmpty());
  EXPECT_THAT(none.policies.at("p").base.no_go, HasSubstr("upstream"));
}

TEST(Profile, is_the_pods_then_the_namespaces_then_the_policys_and_an_unknown_one_is_none) {
  const auto rules = rules_of(policy("name: p", std::string(kGo) + ", profile: {labelKey: stage, default: test}, "
                                                                   "profiles: {dev: {}, test: {}, prod: {}}"),
                              {});
  const auto& p = rules.policies.at("p");
  EXPECT_EQ(p.choose("dev", {{"stage", "prod"}}).profile, "dev");
  EXPECT_EQ(p.choose("", {{"stage", "prod"}}).profile, "prod");
  EXPECT_EQ(p.choose("", {{"stage", ""}}).profile, "test");
  EXPECT_EQ(p.choose("", {{"cistern.dev/profile", "prod"}}).profile, "test");
  const auto unknown = p.choose("nope", {{"stage", "prod"}});
  EXPECT_EQ(unknown.profile, "");
  EXPECT_EQ(unknown.unknown, "nope");
  EXPECT_EQ(unknown.told, &p.base);
  EXPECT_EQ(p.choose("", {{"stage", "what"}}).unknown, "what");
}

Json slice(const std::string& service, Json endpoints) {
  return {{"metadata", {{"labels", {{"kubernetes.io/service-name", service}, {"cistern.dev/policy", "default"}}}}},
          {"endpoints", std::move(endpoints)}};
}

TEST(Endpoints, are_ready_where_one_of_the_policys_own_service_is) {
  const Json ready = {{"conditions", {{"ready", true}}}};
  const Json not_ready = {{"conditions", {{"ready", false}}}};
  EXPECT_EQ(ready_policy(slice("cistern-default", {not_ready, ready})), "default");
  EXPECT_EQ(ready_policy(slice("cistern-default", Json::array({Json::object()}))), "default");
  EXPECT_EQ(ready_policy(slice("cistern-default", Json::array({not_ready}))), "");
  EXPECT_EQ(ready_policy(slice("cistern-default", Json::array())), "");
  EXPECT_EQ(ready_policy(slice("cistern-default", nullptr)), "");
  EXPECT_EQ(ready_policy(slice("cistern-default-peers", Json::array({ready}))), "");
  EXPECT_EQ(ready_policy(Json::object()), "");
  EXPECT_EQ(ready_policy({{"metadata", {{"labels", nullptr}}}}), "");
}

TEST(EnvironmentMaps, have_one_for_the_namespace_and_one_for_each_other_profile) {
  const auto rules = rules_of(
      policy("name: p", std::string(kGo) + ", namespaceSelector: {matchExpressions: [{key: no, operator: DoesNotExist}]}, "
                                           "profiles: {dev: {}, prod: {}}"),
      {{"shop", {{"cistern.dev/profile", "prod"}}}, {"plain", {}}, {"kube-system", {}}, {"cistern-system", {}}, {"out", {{"no", "1"}}}});
  const auto shop = environment_maps(rules, "shop");
  EXPECT_THAT(shop, ElementsAre(Key("cistern-env"), Key("cistern-env-dev"), Key("cistern-env.none")));
  EXPECT_THAT(shop.at("cistern-env").at("GOPROXY"), HasSubstr("/go/~prod/"));
  EXPECT_THAT(shop.at("cistern-env-dev").at("GOPROXY"), HasSubstr("/go/~dev/"));
  EXPECT_THAT(shop.at("cistern-env.none").at("GOPROXY"), Not(HasSubstr("~")));
  const auto plain = environment_maps(rules, "plain");
  EXPECT_THAT(plain, ElementsAre(Key("cistern-env"), Key("cistern-env-dev"), Key("cistern-env-prod")));
  EXPECT_THAT(plain.at("cistern-env").at("GOPROXY"), Not(HasSubstr("~")));
  for (const auto* none : {"kube-system", "cistern-system", "out", "unheard-of"})
    EXPECT_THAT(environment_maps(rules, none), IsEmpty()) << none;
}

TEST(EnvironmentMaps, are_not_there_where_the_namespace_has_opted_out) {
  const auto rules =
      rules_of(policy("name: p", kGo), {{"out", {{"cistern.dev/inject", "false"}}}, {"in", {{"cistern.dev/inject", "true"}}}});
  EXPECT_THAT(environment_maps(rules, "out"), IsEmpty());
  EXPECT_THAT(environment_maps(rules, "in"), ElementsAre(Key("cistern-env")));
}

TEST(EnvironmentMaps, are_not_there_for_what_is_off_or_overwrites_or_says_nothing) {
  for (const auto* spec : {"injection: {mode: Off}", "injection: {overwrite: true}"}) {
    EXPECT_THAT(environment_maps(rules_of(policy("name: p", std::string(kGo) + ", " + spec), {{"shop", {}}}), "shop"), IsEmpty()) << spec;
  }
  EXPECT_THAT(environment_maps(rules_of(policy("name: p", "retries: 1"), {{"shop", {}}}), "shop"), IsEmpty());
  EXPECT_THAT(environment_maps(rules_of(policy("name: p", "injection: {env: {A: b}}"), {{"shop", {}}}), "shop"),
              ElementsAre(Pair("cistern-env", ElementsAre(Pair("A", "b")))));
}

}  // namespace
}  // namespace cistern::admission
