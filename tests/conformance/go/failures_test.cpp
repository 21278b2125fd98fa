// Upstreams that say no, fail, stall, cut or lie.
#include <vector>

#include "go_fixture.hpp"

namespace cistern::conformance {
namespace {

class GoFailures : public GoTest {
 protected:
  std::string two(const std::string& fallback) const {
    return "{upstreams: [{name: a, url: \"" + upstream.url() + "\", fallback: " + fallback + "}, {name: b, url: \"" + second.url() +
           "\"}], " + kFreshness + ", sumDB: {mode: Off}}";
  }
  const GoModule small = make_module("example.com/small", "v1.0.0");
  const GoModule large = make_module("example.com/large", "v1.0.0", 1 << 20);
  const std::string list = "/example.com/small/@v/list";
  ScriptedUpstream second;
};

TEST_F(GoFailures, Case7_NotFoundAndGoneArePassedOnAndAskedForAgainAfterTheTtl) {
  upstream.on(small.target(".info"), {Reply{.status = 404, .body = "no such version\n"}, Reply{.body = small.info}});
  upstream.on(list, {Reply{.status = 410}, Reply{.body = "v1.0.0\n"}});
  start();
  const auto missing = ask(small.target(".info"));
  EXPECT_EQ(missing.status, 404u);
  EXPECT_EQ(missing.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(ask(list).status, 410u);
  EXPECT_EQ(ask(small.target(".info")).status, 404u);
  EXPECT_EQ(ask(list).status, 410u);
  EXPECT_EQ(upstream.count(), 2u) << "within the TTL nobody is asked again";
  std::this_thread::sleep_for(kPastTtl);
  EXPECT_EQ(ask(small.target(".info")).body, small.info);
  EXPECT_EQ(ask(list).body, "v1.0.0\n");
}

TEST_F(GoFailures, Case8_ServerErrorsAreBadGatewayAndNeverCached) {
  for (const unsigned status : {500u, 502u, 503u})
    upstream.on("/example.com/m" + std::to_string(status) + "/@v/list", {Reply{.status = status}, Reply{.body = "v1.0.0\n"}});
  start();
  for (const unsigned status : {500u, 502u, 503u}) {
    const auto target = "/example.com/m" + std::to_string(status) + "/@v/list";
    EXPECT_EQ(ask(target).status, 502u) << status;
    EXPECT_EQ(ask(target).status, 200u) << status;
  }
}

TEST_F(GoFailures, Case8_AResetIsBadGatewayAndNeverCached) {
  upstream.on(list, {Reply{.reset = true}, Reply{.body = "v1.0.0\n"}});
  start();
  const auto answer = ask(list);
  // A reused connection that dies may be tried once more without harm; then the second reply is the answer.
  if (answer.status != 200) {
    EXPECT_EQ(answer.status, 502u);
  }
  EXPECT_EQ(ask(list).status, 200u);
}

TEST_F(GoFailures, Case8_ARefusedConnectionIsBadGateway) {
  upstream.go_down();
  start();
  EXPECT_EQ(ask(list).status, 502u);
  upstream.on(list, Reply{.body = "v1.0.0\n"});
  upstream.come_up();
  EXPECT_EQ(ask(list).status, 200u);
}

TEST_F(GoFailures, Case8_SilenceIsGatewayTimeoutAndNeverCached) {
  upstream.on(list, {Reply{.silent = true}, Reply{.body = "v1.0.0\n"}});
  setup.timeouts = "{connect: 500ms, firstByte: 500ms, idle: 1s}";
  start();
  EXPECT_EQ(ask(list).status, 504u);
  EXPECT_EQ(ask(list).status, 200u);
}

TEST_F(GoFailures, Case8_NonsenseIsBadGateway) {
  upstream.on(list, Reply{.raw = "SSH-2.0-OpenSSH_9.2\r\n"});
  upstream.on("/example.com/portal/@v/list", Reply{.headers = {{"Content-Type", "text/html"}}, .body = "<html>log in first</html>\n"});
  start();
  EXPECT_EQ(ask(list).status, 502u);
  EXPECT_EQ(ask("/example.com/portal/@v/list").status, 502u);
}

TEST_F(GoFailures, RefusalsKeepTheirMeaning) {
  upstream.on("/example.com/f/@v/list", Reply{.status = 403});
  upstream.on("/example.com/u/@v/list", Reply{.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=\"x\""}}});
  upstream.on("/example.com/t/@v/list", Reply{.status = 429, .headers = {{"Retry-After", "7"}}});
  start();
  EXPECT_EQ(ask("/example.com/f/@v/list").status, 403u);
  const auto unauthorized = ask("/example.com/u/@v/list");
  EXPECT_EQ(unauthorized.status, 403u);
  EXPECT_FALSE(has_field(unauthorized.headers, "WWW-Authenticate"));
  const auto throttled = ask("/example.com/t/@v/list");
  EXPECT_EQ(throttled.status, 429u);
  EXPECT_EQ(throttled.header("Retry-After"), "7");
}

TEST_F(GoFailures, Case9_NotFoundAtTheFirstGoesToTheSecond) {
  second.on(small.target(".mod"), Reply{.body = small.mod});
  start(two("NotFound"));
  EXPECT_EQ(ask(small.target(".mod")).body, small.mod);
  EXPECT_EQ(upstream.count(), 1u);
  EXPECT_EQ(second.count(), 1u);
}

TEST_F(GoFailures, Case9_AnErrorAtTheFirstIsTheAnswer) {
  upstream.on(small.target(".mod"), Reply{.status = 500});
  second.on(small.target(".mod"), Reply{.body = small.mod});
  start(two("NotFound"));
  EXPECT_EQ(ask(small.target(".mod")).status, 502u);
  EXPECT_EQ(second.count(), 0u);
}

TEST_F(GoFailures, Case9_AnErrorAtTheFirstGoesToTheSecondWithFallbackAny) {
  upstream.on(small.target(".mod"), Reply{.status = 500});
  second.on(small.target(".mod"), Reply{.body = small.mod});
  start(two("Any"));
  EXPECT_EQ(ask(small.target(".mod")).body, small.mod);
}

TEST_F(GoFailures, Case9_ASilentFirstGoesToTheSecondWithFallbackAny) {
  upstream.on(small.target(".mod"), Reply{.silent = true});
  second.on(small.target(".mod"), Reply{.body = small.mod});
  setup.timeouts = "{connect: 500ms, firstByte: 500ms, idle: 1s}";
  start(two("Any"));
  EXPECT_EQ(ask(small.target(".mod")).body, small.mod);
}

TEST_F(GoFailures, NotFoundEverywhereIsNotFound) {
  start(two("NotFound"));
  EXPECT_EQ(ask(small.target(".mod")).status, 404u);
  EXPECT_EQ(second.count(), 1u);
}

TEST_F(GoFailures, Case11_ATruncatedSmallZipIsAnErrorAndNothingIsStored) {
  upstream.on(small.target(".zip"), {Reply{.body = small.zip, .cut_after = small.zip.size() / 2}, Reply{.body = small.zip, .cut_after = 10},
                                     Reply{.body = small.zip}});
  start();
  // The agent may have tried again by itself; what it must not do is to pass half a zip off as a whole one.
  Answer answer;
  for (int i = 0; i < 3 && (answer = ask(small.target(".zip"))).status != 200; ++i) EXPECT_EQ(answer.status, 502u);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == small.zip);
  EXPECT_TRUE(ask(small.target(".zip")).body == small.zip);
}

TEST_F(GoFailures, Case11_ATruncatedLargeZipIsSeenToFailAndTheNextTryIsRight) {
  const Reply cut{.body = large.zip, .cut_after = 700000};
  upstream.on(large.target(".zip"), cut);
  start();
  EXPECT_TRUE(failed(ask(large.target(".zip"))));
  EXPECT_TRUE(eventually([&] { return agent->metric("cistern_fills_inflight").value_or(0) == 0; }));
  upstream.on(large.target(".zip"), Reply{.body = large.zip});
  const auto next = ask(large.target(".zip"));
  EXPECT_EQ(next.status, 200u);
  EXPECT_TRUE(next.complete);
  EXPECT_EQ(cache_result(next), "miss");
  EXPECT_TRUE(next.body == large.zip);
}

TEST_F(GoFailures, Case13_WithTheUpstreamDownWhatIsCachedIsServed) {
  publish(upstream, small);
  upstream.on(list, Reply{.body = "v1.0.0\n"});
  upstream.on("/example.com/small/@latest", Reply{.body = small.info});
  start();
  for (const auto* suffix : {".info", ".mod", ".zip"}) EXPECT_EQ(ask(small.target(suffix)).status, 200u);
  EXPECT_EQ(ask(list).status, 200u);
  EXPECT_EQ(ask("/example.com/small/@latest").status, 200u);
  std::this_thread::sleep_for(kPastTtl);
  upstream.go_down();
  for (const auto* suffix : {".info", ".mod", ".zip"}) EXPECT_EQ(cache_result(ask(small.target(suffix))), "hit") << suffix;
  const auto stale = ask(list);
  EXPECT_EQ(stale.status, 200u);
  EXPECT_EQ(stale.body, "v1.0.0\n");
  EXPECT_EQ(cache_result(stale), "stale");
  EXPECT_GE(std::stoi(stale.header("Age")), 2);
  EXPECT_EQ(cache_result(ask("/example.com/small/@latest")), "stale");
}

TEST_F(GoFailures, StaleIsServedOnlyWithinItsBound) {
  upstream.on(list, {Reply{.body = "v1.0.0\n"}, Reply{.status = 500}});
  start("{upstreams: [{url: \"" + upstream.url() + "\"}], freshness: {list: 1s, staleIfError: 1s}, sumDB: {mode: Off}}");
  EXPECT_EQ(ask(list).status, 200u);
  std::this_thread::sleep_for(milliseconds(4200));
  EXPECT_EQ(ask(list).status, 502u);
}

TEST_F(GoFailures, WhatWasCachedSurvivesARestart) {
  publish(upstream, large);
  start();
  EXPECT_EQ(ask(large.target(".zip")).status, 200u);
  EXPECT_EQ(agent->stop(), 0);
  upstream.go_down();
  ASSERT_TRUE(agent->start()) << agent->log();
  const auto answer = ask(large.target(".zip"));
  EXPECT_EQ(cache_result(answer), "hit");
  EXPECT_TRUE(answer.body == large.zip);
}

}  // namespace
}  // namespace cistern::conformance
