#include "choice_fixture.hpp"

namespace cistern::conformance {
namespace {

class Canary : public ChoiceTest {
 protected:
  void start_go(const std::string& rollout) {
    setup.go =
        "{views: [{upstreams: [" + entry("old", old_) + ", " + entry("next", next_, "rollout: " + rollout) + "], sumDB: {mode: \"Off\"}}]}";
    start();
  }
  void serve_lists(ScriptedUpstream& upstream) {
    upstream.on_prefix("/example.com/", [](const Asked&) { return Reply{.body = "v1.0.0\n"}; });
  }
  // All requests must succeed; gives how many of them reached the canary.
  std::size_t ask(int from, int count) {
    const auto before = next_.count();
    for (int i = from; i < from + count; ++i) {
      const auto answer = get(agent->node(), "/go" + module_list(i));
      EXPECT_EQ(answer.status, 200U) << answer.body;
      EXPECT_EQ(answer.body, "v1.0.0\n");
    }
    return next_.count() - before;
  }

  ScriptedUpstream old_, next_;
};

TEST_F(Canary, GetsItsShareFirstAndTheRestIsNotAskedOfIt) {
  serve_lists(old_);
  serve_lists(next_);
  start_go("{percent: 30}");
  EXPECT_NEAR(static_cast<double>(ask(0, 300)), 90, 30);
  EXPECT_EQ(old_.count() + next_.count(), 300U) << "nobody was asked twice";
  EXPECT_EQ(status_of("next").at("canary").at("state"), "active");
}

TEST_F(Canary, TheSameObjectsGoTheSameWayAfterARestart) {
  serve_lists(old_);
  serve_lists(next_);
  start_go("{percent: 30}");
  ask(0, 60);
  auto paths = [&] {
    std::vector<std::string> paths;
    for (const auto& asked : next_.asked()) paths.push_back(asked.path());
    return paths;
  };
  const auto before = paths();
  next_.forget();
  ASSERT_EQ(agent->stop(), 0);
  agent = std::make_unique<Agent>(setup);
  ASSERT_TRUE(agent->start()) << agent->log();
  ask(0, 60);
  EXPECT_EQ(paths(), before);
}

TEST_F(Canary, ThatFailsIsWithdrawnAndNoClientSeesIt) {
  serve_lists(old_);
  for (const auto& [name, reply] : {std::pair("errors", Reply{.status = 500}), std::pair("resets", Reply{.reset = true}),
                                    std::pair("cuts", Reply{.body = std::string(5000, 'x'), .cut_after = 100}),
                                    std::pair("nonsense", Reply{.body = "<html>a page in place of a list</html>"}),
                                    std::pair("lacks what others have", Reply{.status = 404})}) {
    SCOPED_TRACE(name);
    next_.clear();
    next_.forget();
    next_.on_prefix("/", [reply = reply](const Asked&) { return reply; });
    start_go("{percent: 100}");
    ask(0, 30);
    EXPECT_EQ(next_.count(), 5U) << "it is asked no more after five failures in a row";
    const auto canary = status_of("next").at("canary");
    EXPECT_EQ(canary.at("state"), "withdrawn");
    EXPECT_EQ(canary.at("canary").at("failed"), 5);
    EXPECT_EQ(agent->metric("cistern_canary_state{upstream=\"next\"}"), 2);
    agent->stop();
  }
  agent.reset();
}

TEST_F(Canary, ThatBeginsToFailIsWithdrawnAndAChangeOfThePolicyBringsItBack) {
  serve_lists(old_);
  serve_lists(next_);
  start_go("{percent: 100}");
  EXPECT_EQ(ask(0, 20), 20U);
  next_.clear();
  next_.on_prefix("/", [](const Asked&) { return Reply{.status = 503}; });
  EXPECT_LE(ask(20, 40), 10U);
  EXPECT_EQ(ask(60, 10), 0U);
  next_.clear();
  serve_lists(next_);
  setup.go.replace(setup.go.find("percent: 100"), 12, "percent: 99");
  agent->setup().go = setup.go;
  ASSERT_TRUE(agent->reload());
  EXPECT_GE(ask(70, 20), 18U);
}

TEST_F(Canary, OfARegistryFailsUnseenAsWell) {
  const auto image = make_image({70'000, 300});
  publish(old_, "library/app", "v1", image);
  next_.on_prefix("/v2/", [](const Asked&) { return Reply{.status = 500}; });
  setup.images =
      "{registries: [{name: docker.io, upstreams: [" + entry("old", old_) + ", " + entry("next", next_, "rollout: {percent: 100}") + "]}]}";
  start();
  EXPECT_EQ(get(agent->node(), manifest_target("library/app", "v1") + "?ns=docker.io").status, 200U);
  for (const auto& layer : image.layers) {
    const auto answer = get(agent->node(), blob_target("library/app", layer.digest) + "?ns=docker.io");
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, layer.bytes);
  }
  EXPECT_GT(next_.count(), 0U);
}

TEST_F(Canary, IsLimitedToItsPatterns) {
  serve_lists(old_);
  serve_lists(next_);
  start_go("{percent: 100, match: [example.com/m1]}");
  EXPECT_EQ(ask(0, 5), 1U);
}

TEST_F(Canary, DoesNotServeTheChecksumDatabase) {
  serve_lists(old_);
  start_go("{percent: 100}");
  setup.go = "{views: [{upstreams: [" + entry("next", next_, "rollout: {percent: 100}") + ", " + entry("old", old_) +
             "], sumDB: {mode: Proxy, name: sum.example, key: \"\"}}]}";
  agent->setup().go = setup.go;
  old_.on("/sumdb/sum.example/supported", Reply{});
  old_.on("/sumdb/sum.example/latest", Reply{.body = "head\n"});
  next_.on_prefix("/", [](const Asked&) { return Reply{.status = 500}; });
  ASSERT_TRUE(agent->reload()) << agent->log();
  EXPECT_EQ(get(agent->node(), "/go/sumdb/sum.example/latest").body, "head\n");
  EXPECT_EQ(next_.count(), 0U);
}

}  // namespace
}  // namespace cistern::conformance
