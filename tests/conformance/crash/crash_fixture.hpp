// A cache-agent over a store that outlives it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/agent_process/agent.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::conformance {

using namespace fakes;  // NOLINT: a test's own vocabulary
using std::chrono::milliseconds;

class CrashTest : public ::testing::Test {
 protected:
  void configure() {
    AgentSetup setup;
    setup.images = "{registries: [{name: docker.io, upstreams: [{url: \"" + upstream.url() + "\"}]}]}";
    setup.storage = "memory: 0";
    agent = std::make_unique<Agent>(setup);
  }
  void offer(std::size_t count, std::size_t size, std::uint64_t seed) {
    for (std::size_t i = 0; i < count; ++i) {
      auto& blob = blobs.emplace_back(noise(size + i * 10007, seed + i));
      upstream.on(target_of(blob), blob_reply(blob));
    }
  }
  void TearDown() override {
    if (agent && HasFailure()) GTEST_LOG_(INFO) << "log:\n" << agent->log();
  }
  Answer ask(const Blob& blob) const { return get(agent->node(), target_of(blob) + "?ns=docker.io"); }
  static std::string target_of(const Blob& blob) { return blob_target("team/app", blob.digest); }
  Ended check_store() const { return run({.arguments = {program("cache-agent"), "store", "verify", "--path", agent->storage().string()}}); }
  // Files below the store, largest first.
  std::vector<std::filesystem::path> stored_files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(agent->storage())) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end(),
              [](const auto& a, const auto& b) { return std::filesystem::file_size(a) > std::filesystem::file_size(b); });
    return files;
  }

  ScriptedUpstream upstream;
  std::vector<Blob> blobs;
  std::unique_ptr<Agent> agent;
};

}  // namespace cistern::conformance
