// A cache-agent in front of several scripted upstreams.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/fakes/agent_process/agent.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::conformance {

using namespace fakes;  // NOLINT: a test's own vocabulary
using std::chrono::milliseconds;

class ChoiceTest : public ::testing::Test {
 protected:
  static std::string entry(const std::string& name, const ScriptedUpstream& at, const std::string& more = "") {
    return "{name: " + name + ", url: \"" + at.url() + "\"" + (more.empty() ? "" : ", " + more) + "}";
  }
  void start() {
    agent = std::make_unique<Agent>(setup);
    ASSERT_TRUE(agent->start()) << agent->log();
  }
  void TearDown() override {
    if (!agent) return;
    EXPECT_TRUE(agent->running()) << "the agent has ended";
    if (HasFailure()) GTEST_LOG_(INFO) << "configuration:\n" << agent->configuration() << "log:\n" << agent->log();
  }
  // What /status says of it.
  nlohmann::json status_of(const std::string& upstream) const {
    const auto status = nlohmann::json::parse(get(agent->admin(), "/status").body);
    for (const auto& one : status.at("upstreams")) {
      if (one.at("name") == upstream) return one;
    }
    return nullptr;
  }
  // Lists of modules m0, m1 …, each an object of its own.
  static std::string module_list(int number) { return "/example.com/m" + std::to_string(number) + "/@v/list"; }

  AgentSetup setup;
  std::unique_ptr<Agent> agent;
};

}  // namespace cistern::conformance
