// What is measured on the wire, and what a probe asks.
#include "harness.hpp"

#include "cache-agent/upstream/selection.hpp"

namespace cistern::upstream {
namespace {

class Probes : public Harness {
 protected:
  static Ask probe(std::string_view target) {
    Ask ask;
    ask.target = target;
    ask.probe = true;
    return ask;
  }
  ScriptedUpstream server_;
};

TEST_F(Probes, RequestsAreMeasured) {
  server_.on("/slow", Reply{.body = "x", .delay = 60ms});
  const auto mirror = upstream(server_.url());
  get(mirror, "/slow");
  const auto measures = mirror->health().measures;
  EXPECT_EQ(measures.requests.samples, 1U);
  EXPECT_EQ(measures.probes.samples, 0U);
  EXPECT_GE(measures.requests.first_byte, 55ms);
  ASSERT_TRUE(measures.connect);
  EXPECT_LT(*measures.connect, 10s);
  ASSERT_TRUE(measures.total);
  EXPECT_GE(*measures.total, measures.requests.first_byte);
}

TEST_F(Probes, TimeUntilConnectedDoesNotCountForTheFirstByte) {
  server_.on("/x", Reply{.body = "x"});
  const auto mirror = upstream(server_.url());
  get(mirror, "/x");
  const auto connect = mirror->health().measures.connect;
  get(mirror, "/x");
  EXPECT_EQ(server_.connections(), 1U);
  EXPECT_EQ(mirror->health().measures.connect, connect) << "the second request made no connection";
}

TEST_F(Probes, HopsOfARedirectAreAddedUp) {
  ScriptedUpstream away;
  away.on("/blob", Reply{.body = "x", .delay = 40ms});
  server_.on("/blob", Reply{.status = 307, .headers = {{"Location", away.url() + "/blob"}}, .delay = 40ms});
  const auto mirror = upstream(server_.url());
  EXPECT_EQ(get(mirror, "/blob").body, "x");
  EXPECT_GE(mirror->health().measures.requests.first_byte, 75ms);
}

TEST_F(Probes, FailuresAreMeasured) {
  server_.on("/x", Reply{.status = 503});
  settings_.retries = 0;
  const auto mirror = upstream(server_.url());
  get(mirror, "/x");
  EXPECT_EQ(mirror->health().measures.requests.samples, 0U);
  EXPECT_GT(mirror->health().measures.failures, 0);
}

TEST_F(Probes, OfARegistryFetchNoTokenAndFollowNothing) {
  server_.on("/v2/", Reply{.status = 200});
  server_.require_bearer("/v2/");
  const auto registry = upstream(server_.url());
  EXPECT_EQ(get(registry, probe(image_probe())).head.status, 401U);
  EXPECT_EQ(server_.count("GET", "/token"), 0U);
  EXPECT_EQ(registry->health().measures.probes.samples, 1U) << "a challenge is an answer";
  EXPECT_EQ(registry->health().measures.requests.samples, 0U);

  ScriptedUpstream moved;
  moved.on("/sumdb/sum.golang.org/supported", Reply{.status = 302, .headers = {{"Location", server_.url() + "/away"}}});
  EXPECT_EQ(get(upstream(moved.url()), probe(go_probe())).head.status, 302U);
  EXPECT_EQ(server_.count("GET", "/away"), 0U);
}

TEST_F(Probes, AreNotTriedAgain) {
  server_.on("/v2/", Reply{.status = 503});
  settings_.retries = 3;
  get(upstream(server_.url()), probe(image_probe()));
  EXPECT_EQ(server_.count("GET", "/v2/"), 1U);
}

TEST_F(Probes, DoNotHideFailuresInARow) {
  server_.on("/v2/", Reply{.status = 200});
  server_.on("/x", Reply{.status = 500});
  settings_.retries = 0;
  settings_.breaker = {.failures = 3, .open_for = 30s};
  const auto mirror = upstream(server_.url());
  for (int i = 0; i < 3; ++i) {
    get(mirror, "/x");
    get(mirror, probe(image_probe()));
  }
  EXPECT_EQ(mirror->health().state, BreakerState::kOpen);
}

TEST_F(Probes, BringAnUpstreamBack) {
  server_.on("/v2/", Reply{.status = 200});
  server_.on("/x", Reply{.status = 500});
  settings_.retries = 0;
  settings_.breaker = {.failures = 1, .open_for = 30s};
  client_ = make_client(manual_clock_, observer_, options_);
  const auto mirror = upstream(server_.url());
  get(mirror, "/x");
  EXPECT_TRUE(mirror->health().refuses);
  manual_clock_.advance(30s);
  EXPECT_FALSE(mirror->health().refuses);
  get(mirror, probe(image_probe()));
  EXPECT_EQ(mirror->health().state, BreakerState::kClosed);
}

// The slow of two is left for the fast one; measured on real connections, on a clock that is moved by hand.
TEST_F(Probes, TheFastOfTwoServersIsPreferredAndTheOtherWhenTheySwap) {
  ScriptedUpstream other;
  client_ = make_client(manual_clock_, observer_, options_);
  std::vector<config::Upstream> configurations(2);
  configurations[0].name = "a";
  configurations[1].name = "b";
  const std::vector<std::shared_ptr<Upstream>> upstreams = {upstream(server_.url(), configurations[0]),
                                                            upstream(other.url(), configurations[1])};
  Selector selector(configurations, upstreams, config::Selection::kFastest, manual_clock_);
  const auto delays = [&](std::chrono::milliseconds a, std::chrono::milliseconds b) {
    for (const auto& [server, delay] : {std::pair(&server_, a), std::pair(&other, b)}) {
      for (const auto* path : {"/v2/", "/object"}) server->on(path, Reply{.body = "x", .delay = delay});
    }
  };
  const auto pass = [&](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      manual_clock_.advance(1s);
      for (const auto& due : selector.probes_due()) get(due, probe(image_probe()));
      if (i % 5 == 0) get(upstreams[selector.order({0, 1}, {"object", "object"}).front().index], "/object");
    }
  };
  delays(120ms, 0ms);
  pass(20);
  EXPECT_EQ(selector.is_preferred(1), true);
  delays(0ms, 120ms);
  pass(90);
  EXPECT_EQ(selector.is_preferred(0), true);
  delays(120ms, 0ms);
  pass(120);
  EXPECT_EQ(selector.is_preferred(1), true);
  EXPECT_EQ(selector.changes(), 2U);
}

}  // namespace
}  // namespace cistern::upstream
