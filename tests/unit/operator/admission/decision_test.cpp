#include "operator/admission/decision.hpp"

#include <gmock/gmock.h>

#include "tests/unit/operator/admission/world.hpp"

namespace cistern::admission {
namespace {

using test::env;
using test::kGo;
using test::labelled;
using test::patched;
using test::pod;
using test::policy;
using test::rules_of;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kProxy = "http://cistern-default.cistern-system.svc:5050/go/";

Rules rules_with(const std::string& spec, const plan::NamespaceFacts& ns = {"shop", {}}) {
  return rules_of(policy("name: default", std::string(kGo) + (spec.empty() ? "" : ", ") + spec), {ns});
}

TEST(Decision, puts_the_variables_into_every_container_and_init_container_and_says_so) {
  auto before = pod({{{"name", "a"}}, {{"name", "b"}, {"env", {{{"name", "X"}, {"value", "1"}}}}}});
  before["spec"]["initContainers"] = {{{"name", "i"}}};
  before["spec"]["ephemeralContainers"] = {{{"name", "e"}}};
  const auto decision = decide(rules_with(""), "shop", before);
  EXPECT_EQ(decision.why_not, "");
  EXPECT_EQ(decision.policy, "default");
  EXPECT_THAT(decision.variables, ElementsAre("GONOPROXY", "GOPROXY", "GOSUMDB"));
  const auto after = patched(before, decision);
  EXPECT_EQ(env(after, "GOPROXY", 0), kProxy);
  EXPECT_EQ(env(after, "GOPROXY", 1), kProxy);
  EXPECT_EQ(env(after, "X", 1), "1");
  EXPECT_EQ(env(after, "GOSUMDB", 0, "initContainers"), "sum.golang.org");
  EXPECT_EQ(after["spec"]["ephemeralContainers"], before["spec"]["ephemeralContainers"]);
  EXPECT_EQ(after["metadata"]["annotations"],
            Json({{"cistern.dev/injected", "default"}, {"cistern.dev/injected-variables", "GONOPROXY,GOPROXY,GOSUMDB"}}));
}

struct Wish {
  const char* mode;
  const char* ns_label;   // empty: none
  const char* pod_label;  // likewise
  bool injected;
  const char* why;
};

class Wishes : public testing::TestWithParam<Wish> {};

TEST_P(Wishes, of_pod_namespace_and_policy_are_weighed) {
  const auto& wish = GetParam();
  plan::NamespaceFacts ns{"shop", {}};
  if (*wish.ns_label != '\0') ns.labels["cistern.dev/inject"] = wish.ns_label;
  const auto rules = rules_with(std::string("injection: {mode: ") + wish.mode + "}", ns);
  const auto decision = decide(rules, "shop", *wish.pod_label == '\0' ? pod() : labelled(pod(), wish.pod_label));
  EXPECT_EQ(!decision.patch.empty(), wish.injected) << decision.why_not;
  EXPECT_EQ(decision.why_not.empty(), wish.injected);
  EXPECT_THAT(decision.why_not, HasSubstr(wish.why));
}

INSTANTIATE_TEST_SUITE_P(Injection, Wishes,
                         testing::Values(Wish{"OptOut", "", "", true, ""}, Wish{"OptOut", "false", "", false, "namespace shop"},
                                         Wish{"OptOut", "", "false", false, "of the pod"}, Wish{"OptOut", "false", "true", true, ""},
                                         Wish{"OptOut", "true", "false", false, "of the pod"}, Wish{"OptOut", "no", "0", true, ""},
                                         Wish{"OptIn", "", "", false, "OptIn"}, Wish{"OptIn", "true", "", true, ""},
                                         Wish{"OptIn", "", "true", true, ""}, Wish{"OptIn", "true", "false", false, "of the pod"},
                                         Wish{"OptIn", "false", "true", true, ""}, Wish{"OptIn", "yes", "", false, "OptIn"},
                                         Wish{"Off", "", "", false, "Off"}, Wish{"Off", "true", "true", false, "Off"}));

TEST(Decision, is_never_for_the_systems_namespaces_and_our_own_whatever_labels_say) {
  const auto rules =
      rules_of(policy("name: default", kGo), {{"kube-system", {{"cistern.dev/inject", "true"}}}, {"cistern-system", {}}, {"shop", {}}});
  for (const auto* ns : {"kube-system", "kube-public", "kube-node-lease", "cistern-system"}) {
    const auto decision = decide(rules, ns, labelled(pod(), "true"));
    EXPECT_TRUE(decision.patch.empty()) << ns;
    EXPECT_THAT(decision.why_not, HasSubstr(ns));
  }
}

TEST(Decision, is_never_for_a_static_pods_mirror) {
  auto mirror = labelled(pod(), "true");
  mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "";
  const auto decision = decide(rules_with(""), "shop", mirror);
  EXPECT_TRUE(decision.patch.empty());
  EXPECT_THAT(decision.why_not, HasSubstr("static pod"));
}

TEST(Decision, needs_a_policy_that_owns_the_namespace) {
  const auto rules = rules_with("namespaceSelector: {matchLabels: {team: x}}");
  EXPECT_THAT(decide(rules, "shop", pod()).why_not, HasSubstr("selects namespace shop"));
  EXPECT_THAT(decide(rules, "new", pod()).why_not, HasSubstr("not known yet"));
  EXPECT_TRUE(decide(rules, "", pod()).patch.empty());
}

TEST(Decision, waits_for_an_agent_behind_the_service) {
  auto rules = rules_with("");
  rules.ready.clear();
  const auto decision = decide(rules, "shop", labelled(pod(), "true"));
  EXPECT_TRUE(decision.patch.empty());
  EXPECT_THAT(decision.why_not, HasSubstr("no agent of policy default is ready"));
}

TEST(Decision, leaves_alone_pods_that_could_not_resolve_the_services_name_unless_they_insist) {
  const auto rules = rules_with("");
  const auto with = [](const char* policy, bool host) {
    auto one = pod();
    one["spec"]["dnsPolicy"] = policy;
    if (host) one["spec"]["hostNetwork"] = true;
    return one;
  };
  for (const auto& [policy, host, injected] :
       {std::tuple("ClusterFirst", false, true), std::tuple("ClusterFirst", true, false), std::tuple("ClusterFirstWithHostNet", true, true),
        std::tuple("Default", false, false), std::tuple("None", false, false)}) {
    const auto decision = decide(rules, "shop", with(policy, host));
    EXPECT_EQ(!decision.patch.empty(), injected) << policy << host;
    EXPECT_EQ(decision.why_not.find("DNS") != std::string::npos, !injected) << decision.why_not;
    EXPECT_FALSE(decide(rules, "shop", labelled(with(policy, host), "true")).patch.empty()) << policy << host;
  }
}

TEST(Decision, never_overrides_what_a_container_sets_itself) {
  const Json own = {{{"name", "GOPROXY"}, {"value", "direct"}},
                    {{"name", "GOSUMDB"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}}};
  const auto before = pod({{{"name", "a"}, {"env", own}}, {{"name", "b"}}});
  const auto decision = decide(rules_with(""), "shop", before);
  const auto after = patched(before, decision);
  EXPECT_EQ(env(after, "GOPROXY"), "direct");
  EXPECT_EQ(env(after, "GOSUMDB"), "<valueFrom>");
  EXPECT_EQ(env(after, "GONOPROXY"), "<none>") << "where ours is not asked";
  EXPECT_EQ(env(after, "GOPROXY", 1), kProxy);
  EXPECT_THAT(decision.notes, ElementsAre("container a sets GOPROXY itself", "container a sets GOSUMDB itself"));
}

TEST(Decision, leaves_all_of_gos_variables_to_a_container_with_a_proxy_of_its_own) {
  const Json own = {{{"name", "GOPROXY"}, {"value", "https://own.example"}}, {{"name", "GOPRIVATE"}, {"value", "corp.example"}}};
  const auto before = pod({{{"name", "a"}, {"env", own}}});
  EXPECT_TRUE(decide(rules_with(""), "shop", before).patch.empty()) << "GONOPROXY=none would show its private modules to its proxy";

  const auto rules = rules_with("injection: {env: {COMPANY: acme, GONOSUMDB: acme.example}}");
  const auto after = patched(before, decide(rules, "shop", before));
  EXPECT_EQ(env(after, "COMPANY"), "acme");
  EXPECT_EQ(env(after, "GONOSUMDB"), "acme.example") << "what the policy asks for by name is put in";
  EXPECT_EQ(env(after, "GONOPROXY"), "<none>");
  EXPECT_EQ(env(after, "GOSUMDB"), "<none>");

  const auto from = pod({{{"name", "a"}, {"env", own}, {"envFrom", {{{"secretRef", {{"name", "x"}}}}}}}});
  const auto decision = decide(rules, "shop", from);
  EXPECT_TRUE(decision.patch.empty());
  EXPECT_THAT(decision.notes, Contains(HasSubstr("a GOPROXY of its own")));
}

TEST(Decision, says_so_where_a_pod_sets_everything_itself) {
  Json own = Json::array();
  for (const auto* name : {"GOPROXY", "GOSUMDB", "GONOPROXY"}) own.push_back({{"name", name}, {"value", ""}});
  const auto decision = decide(rules_with(""), "shop", pod({{{"name", "a"}, {"env", own}}}));
  EXPECT_TRUE(decision.patch.empty());
  EXPECT_THAT(decision.why_not, HasSubstr("by itself"));
}

TEST(Decision, overrides_where_the_policy_says_so) {
  const Json own = {{{"name", "A"}, {"value", "1"}},
                    {{"name", "GOPROXY"}, {"value", "direct"}},
                    {{"name", "GOSUMDB"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}},
                    {{"name", "GOPROXY"}, {"value", "off"}}};
  const Json from = {{{"configMapRef", {{"name", "own"}}}}};
  const auto before = pod({{{"name", "a"}, {"env", own}, {"envFrom", from}}});
  const auto decision = decide(rules_with("injection: {overwrite: true}"), "shop", before);
  const auto after = patched(before, decision);
  EXPECT_EQ(after["spec"]["containers"][0]["env"], Json({{{"name", "A"}, {"value", "1"}},
                                                         {{"name", "GOPROXY"}, {"value", kProxy}},
                                                         {{"name", "GOSUMDB"}, {"value", "sum.golang.org"}},
                                                         {{"name", "GOPROXY"}, {"value", kProxy}},
                                                         {{"name", "GONOPROXY"}, {"value", "none"}}}));
  EXPECT_EQ(after["spec"]["containers"][0]["envFrom"], from);
  EXPECT_TRUE(decide(rules_with("injection: {overwrite: true}"), "shop", after).patch.empty());
}

TEST(Decision, gives_a_container_with_env_from_ours_as_the_first_of_them_and_no_env) {
  const Json from = {{{"secretRef", {{"name", "own"}}}}};
  const Json own = {{{"name", "GOSUMDB"}, {"value", "off"}}};
  const auto before = pod({{{"name", "a"}, {"envFrom", from}, {"env", own}}});
  const auto decision = decide(rules_with(""), "shop", before);
  const auto container = patched(before, decision)["spec"]["containers"][0];
  EXPECT_EQ(container["envFrom"], Json({{{"configMapRef", {{"name", "cistern-env"}, {"optional", true}}}}, from[0]}));
  EXPECT_EQ(container["env"], own);
  EXPECT_THAT(decision.variables, ElementsAre("GONOPROXY", "GOPROXY"));
}

TEST(Decision, refers_to_no_config_map_where_the_namespace_has_opted_out_and_has_none) {
  const auto rules = rules_with("", {"shop", {{"cistern.dev/inject", "false"}}});
  const auto before = test::labelled(pod({{{"name", "a"}, {"envFrom", {{{"secretRef", {{"name", "own"}}}}}}}, {{"name", "b"}}}), "true");
  const auto decision = decide(rules, "shop", before);
  const auto after = patched(before, decision);
  EXPECT_EQ(after["spec"]["containers"][0], before["spec"]["containers"][0]);
  EXPECT_NE(test::env(after, "GOPROXY", 1), "<none>");
  EXPECT_THAT(decision.notes, Contains(HasSubstr("container a has envFrom")));
}

TEST(Decision, refers_to_the_config_map_that_is_made_for_the_pods_profile) {
  const auto rules = rules_with("profiles: {dev: {}, prod: {}}", {"shop", {{"cistern.dev/profile", "prod"}}});
  const auto maps = environment_maps(rules, "shop");
  const auto referred = [&](const std::string& profile) {
    auto one = pod({{{"name", "a"}, {"envFrom", {{{"secretRef", {{"name", "own"}}}}}}}});
    if (!profile.empty()) one["metadata"]["annotations"]["cistern.dev/profile"] = profile;
    const auto after = patched(one, decide(rules, "shop", one));
    return after["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"].get<std::string>();
  };
  EXPECT_EQ(referred(""), "cistern-env");
  EXPECT_EQ(referred("prod"), "cistern-env");
  EXPECT_EQ(referred("dev"), "cistern-env-dev");
  EXPECT_EQ(referred("nope"), "cistern-env.none");
  for (const auto* profile : {"", "prod", "dev", "nope"}) EXPECT_TRUE(maps.contains(referred(profile))) << profile;
}

TEST(Decision, an_empty_env_from_is_none) {
  const auto before = pod({{{"name", "a"}, {"envFrom", Json::array()}, {"env", nullptr}}});
  EXPECT_EQ(env(patched(before, decide(rules_with(""), "shop", before)), "GOPROXY"), kProxy);
}

TEST(Decision, follows_the_profile_of_pod_and_namespace_and_annotates_it) {
  const auto rules = rules_with("profiles: {dev: {go: {sumDB: {mode: Off}}}, prod: {}}", {"shop", {{"cistern.dev/profile", "prod"}}});
  EXPECT_EQ(env(patched(pod(), decide(rules, "shop", pod())), "GOPROXY"), std::string(kProxy) + "~prod/");
  auto dev = pod();
  dev["metadata"]["annotations"]["cistern.dev/profile"] = "dev";
  const auto decision = decide(rules, "shop", dev);
  EXPECT_EQ(decision.profile, "dev");
  const auto after = patched(dev, decision);
  EXPECT_EQ(env(after, "GOSUMDB"), "off");
  EXPECT_EQ(after["metadata"]["annotations"]["cistern.dev/injected-profile"], "dev");
  EXPECT_EQ(after["metadata"]["annotations"]["cistern.dev/profile"], "dev");
  dev["metadata"]["annotations"]["cistern.dev/profile"] = "nope";
  const auto unknown = decide(rules, "shop", dev);
  EXPECT_EQ(env(patched(dev, unknown), "GOPROXY"), kProxy);
  EXPECT_THAT(unknown.notes, Contains(HasSubstr("no profile nope")));
}

TEST(Decision, of_what_was_decided_changes_nothing_and_a_container_that_came_since_is_seen_to) {
  for (const auto* spec : {"", "injection: {overwrite: true}", "profiles: {dev: {}}, profile: {default: dev}"}) {
    const auto rules = rules_with(spec);
    auto before = pod({{{"name", "a"}}, {{"name", "b"}, {"envFrom", {{{"secretRef", {{"name", "own"}}}}}}}});
    auto after = patched(before, decide(rules, "shop", before));
    const auto again = decide(rules, "shop", after);
    EXPECT_TRUE(again.patch.empty()) << again.patch;
    EXPECT_THAT(again.notes, IsEmpty());
    after["spec"]["containers"].insert(after["spec"]["containers"].begin(),
                                       Json{{"name", "sidecar"}, {"env", {{{"name", "GOSUMDB"}, {"value", "off"}}}}});
    const auto third = decide(rules, "shop", after);
    EXPECT_FALSE(third.patch.empty());
    const auto last = patched(after, third);
    EXPECT_THAT(env(last, "GOPROXY"), HasSubstr(kProxy));
    EXPECT_EQ(last["metadata"]["annotations"]["cistern.dev/injected-variables"], "GONOPROXY,GOPROXY,GOSUMDB");
    EXPECT_TRUE(decide(rules, "shop", last).patch.empty());
  }
}

TEST(Decision, has_nothing_to_say_without_go_and_variables) {
  const auto none = decide(rules_of(policy("name: p", "retries: 1"), {{"shop", {}}}), "shop", pod());
  EXPECT_TRUE(none.patch.empty());
  EXPECT_THAT(none.why_not, HasSubstr("nothing to tell pods"));
  const auto own = decide(rules_of(policy("name: p", "injection: {env: {A: b}}"), {{"shop", {}}}), "shop", pod());
  EXPECT_THAT(own.variables, ElementsAre("A"));
  EXPECT_THAT(own.notes, Contains(HasSubstr("Go's variables are left out")));
}

TEST(Decision, leaves_alone_what_it_does_not_understand) {
  const auto rules = rules_with("");
  for (const auto& odd : {Json(), Json::array(), Json("pod"), Json{{"spec", 1}}, Json{{"spec", {{"containers", {{"a", 1}}}}}},
                          Json{{"metadata", 7}, {"spec", {{"containers", {1, nullptr, {{"env", "x"}}, {{"envFrom", 3}}}}}}}}) {
    EXPECT_TRUE(decide(rules, "shop", odd).patch.empty()) << odd;
  }
  const Json mixed = {{"metadata", nullptr}, {"spec", {{"containers", {{{"env", {1, nullptr, {{"name", 3}}}}, {"name", "a"}}}}}}};
  const auto after = patched(mixed, decide(rules, "shop", mixed));
  EXPECT_EQ(after["spec"]["containers"][0]["env"].size(), 6U);
  EXPECT_EQ(after["metadata"]["annotations"]["cistern.dev/injected"], "default");
}

}  // namespace
}  // namespace cistern::admission
