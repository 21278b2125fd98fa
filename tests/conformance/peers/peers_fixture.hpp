// A group of agents that know each other.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
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

inline const std::string kKey = "a key of the whole group, 32 bytes";

class PeersTest : public ::testing::Test {
 protected:
  struct Member {
    ScriptedUpstream upstream;
    std::unique_ptr<Agent> agent;
  };

  // Agents that are not started yet.
  void make_group(std::size_t size, const std::string& of_upstream = "") {
    for (std::size_t i = 0; i < size; ++i) {
      auto& member = *members.emplace_back(std::make_unique<Member>());
      AgentSetup setup;
      setup.host = "127.0.0." + std::to_string(i + 1);
      setup.separate_listeners = true;
      setup.images =
          "{registries: [{name: docker.io, upstreams: [{name: origin, url: \"" + member.upstream.url() + "\"" + of_upstream + "}]}]}";
      member.agent = std::make_unique<Agent>(setup);
      member.agent->add_file("key", kKey);
      addresses.push_back(member.agent->pods().text());
    }
    for (auto& member : members) member->agent->setup().peers = peers_of(*member->agent, addresses);
  }
  static std::string peers_of(const Agent& agent, const std::vector<std::string>& all) {
    std::string list;
    for (const auto& address : all) list += (list.empty() ? "" : ", ") + ("{address: \"" + address + "\"}");
    return "{enabled: true, self: \"" + agent.pods().text() + "\", list: [" + list + "], keyFile: key, timeout: 1s}";
  }
  void start_all() {
    for (auto& member : members) ASSERT_TRUE(member->agent->start()) << member->agent->log();
  }
  void TearDown() override {
    for (auto& member : members) {
      if (HasFailure() && member->agent) GTEST_LOG_(INFO) << member->agent->node().text() << ":\n" << member->agent->log();
    }
  }

  void offer(const Blob& blob, const Reply& reply) {
    for (auto& member : members) member->upstream.on(target_of(blob), reply);
  }
  std::size_t asked_upstream(const Blob& blob) const {
    std::size_t count = 0;
    for (const auto& member : members) count += member->upstream.count("GET", target_of(blob));
    return count;
  }
  // The member whose upstream was asked for it.
  Member* owner_of(const Blob& blob) const {
    for (const auto& member : members) {
      if (member->upstream.count("GET", target_of(blob)) > 0) return member.get();
    }
    return nullptr;
  }
  // Asked of the node listeners in turn by so many clients at once, leaving out `except`; how many got the right bytes.
  int ask_all(const Blob& blob, int clients, const Member* except = nullptr) {
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
      const auto& member = *members[static_cast<std::size_t>(i) % members.size()];
      if (&member == except) continue;
      threads.emplace_back([this, &member, &right, &blob] {
        const auto answer = ask(member, blob);
        if (answer.status == 200 && answer.complete && answer.body == blob.bytes) ++right;
      });
    }
    for (auto& thread : threads) thread.join();
    return right;
  }
  Answer ask(const Member& member, const Blob& blob) const { return get(member.agent->node(), target_of(blob) + "?ns=docker.io"); }
  static std::string target_of(const Blob& blob) { return blob_target("team/app", blob.digest); }

  std::vector<std::unique_ptr<Member>> members;
  std::vector<std::string> addresses;
};

}  // namespace cistern::conformance
