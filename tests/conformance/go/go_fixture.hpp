// A cache-agent in front of one or two scripted GOPROXYs.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "tests/fakes/agent_process/agent.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"
#include "tests/fakes/sumdb/sumdb.hpp"

namespace cistern::conformance {

using namespace fakes;  // NOLINT: a test's own vocabulary
using std::chrono::milliseconds;

// Ages are counted in whole seconds: what is fresh for 2 s is so for one at least, and has expired by then.
inline constexpr milliseconds kPastTtl{3100};
inline const std::string kFreshness = "freshness: {list: 2s, latest: 2s, negative: 2s}";

class GoTest : public ::testing::Test {
 protected:
  // One view; `more`: further fields of it, as in "deny: [x]".
  std::string view(const std::string& more = "sumDB: {mode: Off}") const {
    return "{upstreams: [{name: main, url: \"" + upstream.url() + "\"}], " + kFreshness + ", " + more + "}";
  }
  void start(const std::string& views) {
    setup.go = "{views: [" + views + "]}";
    agent = std::make_unique<Agent>(setup);
    ASSERT_TRUE(agent->start()) << agent->log();
  }
  void start() { start(view()); }
  void TearDown() override {
    if (!agent) return;
    EXPECT_TRUE(agent->running()) << "the agent has ended";
    if (HasFailure()) GTEST_LOG_(INFO) << "configuration:\n" << agent->configuration() << "log:\n" << agent->log();
  }

  // By the time it returns, what a miss has fetched is in the store: clients have the last bytes before they are on the disk.
  Answer ask(const std::string& target, const Fields& headers = {}) const {
    auto answer = get(agent->node(), "/go" + target, headers);
    if (cache_result(answer) == "miss") eventually([&] { return agent->metric("cistern_fills_inflight").value_or(0) == 0; });
    return answer;
  }
  Answer ask_head(const std::string& target) const { return head(agent->node(), "/go" + target); }
  // The client was not given the object: an error, or a body that it can see was cut short.
  static bool failed(const Answer& answer) { return answer.status != 200 || !answer.complete; }
  static std::string cache_result(const Answer& answer) { return answer.header("X-Cistern-Cache"); }

  ScriptedUpstream upstream;
  AgentSetup setup;
  std::unique_ptr<Agent> agent;
};

}  // namespace cistern::conformance
