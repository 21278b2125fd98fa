// A cache-agent that serves one registry, and Go, from a scripted upstream.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include "tests/fakes/agent_process/agent.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::conformance {

using namespace fakes;  // NOLINT: a test's own vocabulary
using std::chrono::milliseconds;

class HttpTest : public ::testing::Test {
 protected:
  void configure() {
    setup.images = "{registries: [{name: docker.io, upstreams: [{url: \"" + upstream.url() + "\"}]}]}";
    setup.go = "{views: [{upstreams: [{url: \"" + upstream.url() + "\"}], sumDB: {mode: Off}}]}";
    agent = std::make_unique<Agent>(setup);
  }
  void start() {
    configure();
    ASSERT_TRUE(agent->start()) << agent->log();
  }
  void TearDown() override {
    if (agent && HasFailure()) GTEST_LOG_(INFO) << "configuration:\n" << agent->configuration() << "log:\n" << agent->log();
  }
  // Serves the blob only up to a gate, which the test opens.
  std::shared_ptr<Gate> gated(const Blob& blob, std::size_t after) {
    auto reply = blob_reply(blob);
    const auto gate = std::make_shared<Gate>();
    reply.gate = gate;
    reply.gate_after = after;
    upstream.on(blob_target("team/app", blob.digest), reply);
    return gate;
  }
  static std::string target_of(const Blob& blob) { return blob_target("team/app", blob.digest); }

  ScriptedUpstream upstream;
  AgentSetup setup;
  std::unique_ptr<Agent> agent;
};

}  // namespace cistern::conformance
