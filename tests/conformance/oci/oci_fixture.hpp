// A cache-agent in front of scripted registries: docker.io, and a second one, quay.io.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "tests/fakes/agent_process/agent.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::conformance {

using namespace fakes;  // NOLINT: a test's own vocabulary
using std::chrono::milliseconds;

// Ages are counted in whole seconds: what is fresh for 2 s is so for one at least, and has expired by then.
inline constexpr milliseconds kPastTtl{3100};

class OciTest : public ::testing::Test {
 protected:
  static std::string registry(const std::string& name, const ScriptedUpstream& at, const std::string& of_upstream = "",
                              const std::string& of_registry = "tagTTL: 2s, negative: 2s") {
    return "{name: " + name + ", upstreams: [{url: \"" + at.url() + "\"" + (of_upstream.empty() ? "" : ", " + of_upstream) + "}]" +
           (of_registry.empty() ? "" : ", " + of_registry) + "}";
  }
  void configure(const std::string& registries) {
    setup.images = "{registries: [" + registries + "]}";
    agent = std::make_unique<Agent>(setup);
  }
  void start(const std::string& registries) {
    configure(registries);
    ASSERT_TRUE(agent->start()) << agent->log();
  }
  void start() { start(registry("docker.io", hub) + ", " + registry("quay.io", quay)); }
  // With user and password for the registry's upstream.
  void start_with_credentials(const std::string& of_upstream = "") {
    configure(registry("docker.io", hub, "credentials: creds" + (of_upstream.empty() ? "" : ", " + of_upstream)) + ", " +
              registry("quay.io", quay));
    agent->add_file("creds/username", "user");
    agent->add_file("creds/password", "secret");
    ASSERT_TRUE(agent->start()) << agent->log();
  }
  void TearDown() override {
    if (!agent) return;
    if (expect_running) {
      EXPECT_TRUE(agent->running()) << "the agent has ended";
    }
    if (HasFailure()) GTEST_LOG_(INFO) << "configuration:\n" << agent->configuration() << "log:\n" << agent->log();
  }

  // By the time it returns, what a miss has fetched is in the store: clients have the last bytes before they are on the disk.
  Answer ask(const std::string& target, const Fields& headers = {}, const std::string& ns = "docker.io") const {
    auto answer = get(agent->node(), target + "?ns=" + ns, headers);
    if (cache_result(answer) == "miss") no_fill_left();
    return answer;
  }
  Answer ask_head(const std::string& target, const Fields& headers = {}, const std::string& ns = "docker.io") const {
    return head(agent->node(), target + "?ns=" + ns, headers);
  }
  // The client was not given the object: an error, or a body that it can see was cut short.
  static bool failed(const Answer& answer) { return answer.status != 200 || !answer.complete; }
  static std::string cache_result(const Answer& answer) { return answer.header("X-Cistern-Cache"); }
  bool no_fill_left() const {
    return eventually([&] { return agent->metric("cistern_fills_inflight").value_or(0) == 0; });
  }

  ScriptedUpstream hub;
  ScriptedUpstream quay;
  AgentSetup setup;
  std::unique_ptr<Agent> agent;
  bool expect_running = true;
};

}  // namespace cistern::conformance
