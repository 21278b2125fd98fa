#include "choice_fixture.hpp"

namespace cistern::conformance {
namespace {

const std::string kProbe = "/sumdb/sum.golang.org/supported";

class Fastest : public ChoiceTest {
 protected:
  Fastest() { setup.selection = "Fastest"; }

  static void answer_after(ScriptedUpstream& upstream, milliseconds delay) {
    upstream.on(kProbe, Reply{.delay = delay});
    upstream.on_prefix("/example.com/", [delay](const Asked&) { return Reply{.body = "v1.0.0\n", .delay = delay}; });
    upstream.on_prefix("/corp.example/", [delay](const Asked&) { return Reply{.body = "v1.0.0\n", .delay = delay}; });
  }
  bool is_preferred(const std::string& name) const { return status_of(name).at("preferred") == true; }
  // A new object every 200 ms, until it is so.
  template <class Condition>
  bool while_asking(Condition condition, std::chrono::seconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      EXPECT_EQ(get(agent->node(), "/go" + module_list(asked_++)).status, 200U);
      std::this_thread::sleep_for(milliseconds(200));
    }
    return true;
  }

  ScriptedUpstream a_, b_;
  int asked_ = 0;
};

TEST_F(Fastest, TheSlowOneIsLeftForTheFastAndComesBackWhenTheySwap) {
  answer_after(a_, milliseconds(150));
  answer_after(b_, milliseconds(0));
  setup.go = "{views: [{upstreams: [" + entry("a", a_) + ", " + entry("b", b_) + "], sumDB: {mode: \"Off\"}}]}";
  start();
  EXPECT_TRUE(eventually([&] { return is_preferred("b"); }, std::chrono::seconds(15))) << "found by probes alone";
  EXPECT_EQ(agent->metric("cistern_upstream_preferred{upstream=\"b\"}"), 1);
  const auto before = a_.count();
  for (int i = 0; i < 20; ++i) get(agent->node(), "/go" + module_list(asked_++));
  EXPECT_LE(a_.count() - before, 3U) << "but for a probe";
  a_.clear();
  b_.clear();
  answer_after(a_, milliseconds(0));
  answer_after(b_, milliseconds(150));
  EXPECT_TRUE(while_asking([&] { return is_preferred("a"); }, std::chrono::seconds(75)));
  EXPECT_EQ(agent->metric("cistern_upstream_preference_changes_total"), 1) << "without flapping";
  const auto status = status_of("b");
  EXPECT_GT(status.at("ttfb_ms"), 50);
  for (const auto* field : {"connect_ms", "jitter_ms", "score_ms", "total_ms"}) EXPECT_TRUE(status.at(field).is_number()) << field;
}

TEST_F(Fastest, PrivateModulesAreNeverSeenByAPublicUpstream) {
  ScriptedUpstream corp, canary;
  answer_after(a_, milliseconds(0));
  answer_after(b_, milliseconds(5));
  answer_after(canary, milliseconds(0));
  answer_after(corp, milliseconds(100));
  setup.go = "{views: [{upstreams: [" + entry("corp", corp, "match: [corp.example], weight: 5") + ", " + entry("a", a_) + ", " +
             entry("b", b_) + ", " + entry("canary", canary, "rollout: {percent: 100}") +
             "], private: [corp.example], sumDB: {mode: \"Off\"}}]}";
  start();
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(get(agent->node(), "/go/corp.example/secret" + std::to_string(i) + "/@v/list").status, 200U);
    EXPECT_EQ(get(agent->node(), "/go" + module_list(i)).status, 200U);
  }
  // Nor when the private one fails.
  corp.go_down();
  EXPECT_GE(get(agent->node(), "/go/corp.example/hidden/@v/list").status, 500U);
  EXPECT_TRUE(eventually([&] { return a_.count("GET", kProbe) >= 3 && b_.count("GET", kProbe) >= 3; }, std::chrono::seconds(20)));
  for (const auto* upstream : {&a_, &b_, &canary}) {
    for (const auto& asked : upstream->asked()) EXPECT_EQ(asked.target.find("corp"), std::string::npos) << asked.target;
  }
  EXPECT_GT(canary.count(), 0U);
  EXPECT_EQ(canary.count("GET", kProbe), 0U) << "there is nobody whose place it could take by being fast";
  EXPECT_EQ(corp.count("GET", kProbe), 0U) << "there is no choice to make";
}

TEST_F(Fastest, RegistriesAreProbedByTheirBase) {
  const auto image = make_image({300});
  for (auto* registry : {&a_, &b_}) {
    publish(*registry, "library/app", "v1", image);
    registry->on("/v2/", Reply{.status = 401, .delay = registry == &a_ ? milliseconds(100) : milliseconds(0)});
  }
  setup.images = "{registries: [{name: docker.io, upstreams: [" + entry("a", a_) + ", " + entry("b", b_) + "]}]}";
  start();
  EXPECT_TRUE(eventually([&] { return is_preferred("b"); }, std::chrono::seconds(15)));
  EXPECT_EQ(get(agent->node(), manifest_target("library/app", "v1") + "?ns=docker.io").status, 200U);
  EXPECT_EQ(a_.count(), a_.count("GET", "/v2/")) << "nothing but probes";
}

TEST_F(Fastest, OrderedProbesNobody) {
  setup.selection = "Ordered";
  answer_after(a_, milliseconds(50));
  answer_after(b_, milliseconds(0));
  setup.go = "{views: [{upstreams: [" + entry("a", a_) + ", " + entry("b", b_) + "], sumDB: {mode: \"Off\"}}]}";
  start();
  for (int i = 0; i < 10; ++i) get(agent->node(), "/go" + module_list(i));
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_EQ(a_.count(), 10U);
  EXPECT_EQ(b_.count(), 0U);
  EXPECT_TRUE(status_of("a").at("preferred").is_null());
}

}  // namespace
}  // namespace cistern::conformance
