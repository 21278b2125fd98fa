// Who may have what: deny, private, views.
#include "go_fixture.hpp"

namespace cistern::conformance {
namespace {

class GoPolicy : public GoTest {
 protected:
  const GoModule module = make_module("corp.example/team/m", "v1.0.0");
};

TEST_F(GoPolicy, Case10_ADeniedPatternIsForbiddenOnEveryEndpoint) {
  SumDb database;
  start(view("deny: [corp.example/team], sumDB: {mode: Proxy, name: " + database.name() + ", key: \"" + database.verifier_key() + "\"}"));
  for (const auto& target :
       {std::string("/corp.example/team/m/@v/list"), std::string("/corp.example/team/m/@latest"), module.target(".info"),
        module.target(".mod"), module.target(".zip"), std::string("/corp.example/team/m/@v/master.info"),
        "/sumdb/" + database.name() + "/lookup/corp.example/team/m@v1.0.0"}) {
    const auto answer = ask(target);
    EXPECT_EQ(answer.status, 403u) << target;
    EXPECT_NE(answer.body.find("corp.example/team"), std::string::npos) << "says which pattern: " << answer.body;
    EXPECT_EQ(ask_head(target).status, 403u) << target;
  }
  EXPECT_EQ(upstream.count(), 0u);
  EXPECT_EQ(ask("/corp.example/other/@v/list").status, 404u) << "a neighbour is not denied";
  EXPECT_EQ(upstream.count(), 1u);
}

TEST_F(GoPolicy, WhatWasCachedIsRefusedOnceItIsDenied) {
  publish(upstream, module);
  start();
  EXPECT_EQ(ask(module.target(".zip")).status, 200u);
  agent->setup().go = "{views: [" + view("deny: [corp.example/*], sumDB: {mode: Off}") + "]}";
  ASSERT_TRUE(agent->reload());
  EXPECT_EQ(ask(module.target(".zip")).status, 403u);
}

TEST_F(GoPolicy, APrivateModuleIsNotAskedOfAnUpstreamForEverything) {
  publish(upstream, module);
  start(view("private: [corp.example], sumDB: {mode: Off}"));
  for (const auto* suffix : {".info", ".mod", ".zip"}) EXPECT_EQ(ask(module.target(suffix)).status, 404u) << suffix;
  EXPECT_EQ(ask("/corp.example/team/m/@v/list").status, 404u);
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(GoPolicy, APrivateModuleIsAskedOfTheUpstreamThatNamesIt) {
  ScriptedUpstream internal;
  publish(internal, module);
  start("{upstreams: [{name: all, url: \"" + upstream.url() + "\"}, {name: internal, url: \"" + internal.url() +
        "\", match: [corp.example]}], private: [corp.example], sumDB: {mode: Off}}");
  EXPECT_EQ(ask(module.target(".zip")).body, module.zip);
  EXPECT_EQ(ask("/example.com/public/@v/list").status, 404u);
  EXPECT_EQ(internal.count(), 1u) << "a public module is none of its business";
  EXPECT_EQ(upstream.count("GET", module.target(".zip")), 0u);
}

TEST_F(GoPolicy, EachViewHasItsOwnRules) {
  publish(upstream, module);
  start(view() + ", " + view("name: dev, deny: [corp.example], sumDB: {mode: Off}"));
  EXPECT_EQ(ask(module.target(".mod")).status, 200u);
  EXPECT_EQ(get(agent->node(), "/go/~dev" + module.target(".mod")).status, 403u);
  EXPECT_EQ(get(agent->node(), "/go/~prod" + module.target(".mod")).status, 404u) << "no such view";
}

TEST_F(GoPolicy, ViewsWithDifferentUpstreamsDoNotMixWhatIsNotVerified) {
  ScriptedUpstream other;
  auto forged = module;
  forged.mod = "module corp.example/team/m // of the other upstream\n";
  publish(upstream, module);
  publish(other, forged);
  start(view() + ", {name: dev, upstreams: [{url: \"" + other.url() + "\"}], sumDB: {mode: Off}}");
  EXPECT_EQ(get(agent->node(), "/go/~dev" + module.target(".mod")).body, forged.mod);
  EXPECT_EQ(ask(module.target(".mod")).body, module.mod);
}

TEST_F(GoPolicy, GoIsNotThereWhereThePolicyDoesNotNameIt) {
  setup.images = "{registries: [{name: docker.io, upstreams: [{url: \"" + upstream.url() + "\"}]}]}";
  agent = std::make_unique<Agent>(setup);
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(ask(module.target(".mod")).status, 404u);
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(GoPolicy, ErrorsAreTextForThePersonWhoReadsThem) {
  start(view("deny: [corp.example], sumDB: {mode: Off}"));
  const auto answer = ask(module.target(".mod"));
  EXPECT_EQ(answer.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_FALSE(answer.body.empty());
}

TEST_F(GoPolicy, ARateLimitIsAnsweredWithRetryAfter) {
  publish(upstream, module);
  setup.rate_limit = "{requestsPerSecond: 1, burst: 3}";
  start();
  unsigned refused = 0;
  for (int i = 0; i < 10; ++i) {
    const auto answer = ask(module.target(".mod"));
    if (answer.status != 429) continue;
    ++refused;
    EXPECT_NE(answer.header("Retry-After"), "");
  }
  EXPECT_GE(refused, 1u);
  EXPECT_LE(refused, 9u);
}

}  // namespace
}  // namespace cistern::conformance
