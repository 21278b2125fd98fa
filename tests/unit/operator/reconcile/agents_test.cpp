#include "operator/reconcile/agents.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/fakes/agent_process/agent.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"
#include "tests/unit/operator/reconcile/many_agents.hpp"

namespace cistern::reconcile {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr seconds kLimit{5};

template <class Work>
milliseconds time_of(Work work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
}

// What is said of one agent that answers so.
Result<AgentReport> asked(const Answer& answer, milliseconds limit = kLimit) {
  const ManyAgents agents(answer);
  return make_agent_probe()->ask({"127.0.0.1"}, agents.port(), limit).at(0);
}

Answer always(std::string answer) {
  return [answer = std::move(answer)](const std::string&, const std::string&) { return answer; };
}

// 127.0.1.1, 127.0.1.2 …, all of them this machine.
std::vector<std::string> addresses(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back("127.0." + std::to_string(1 + i / 250) + "." + std::to_string(1 + i % 250));
  return all;
}

class RealAgent : public testing::Test {
 protected:
  RealAgent() {
    setup_.go = "{views: [{upstreams: [{name: main, url: \"" + upstream_.url() + "\"}], sumDB: {mode: Off}}]}";
    setup_.breaker = "{failures: 1, openFor: 60s}";
    upstream_.on("/example.com/a/@v/v1.0.0.info", {.body = "{\"Version\": \"v1.0.0\"}"});
  }
  Result<AgentReport> ask(const fakes::Agent& agent) { return probe_->ask({agent.admin().host}, agent.admin().port, kLimit).at(0); }
  fakes::ScriptedUpstream upstream_;
  fakes::AgentSetup setup_;
  std::unique_ptr<AgentProbe> probe_ = make_agent_probe();
};

TEST_F(RealAgent, says_what_it_has_in_force_and_what_it_served) {
  fakes::Agent agent(setup_);
  ASSERT_TRUE(agent.start()) << agent.log();
  const auto get = [&] { return fakes::get(agent.node(), "/go/example.com/a/@v/v1.0.0.info").status; };
  ASSERT_EQ(get(), 200U);
  // It is a miss until the object is on the disk, which is a moment after the client has it; and counted when its last byte is out.
  std::size_t requests = 1;
  Result<AgentReport> report = ask(agent);
  const auto counted = [&] { return (report = ask(agent)) && report->hits + report->misses == requests; };
  ASSERT_TRUE(fakes::eventually(counted));
  while (report->hits == 0 && requests < 200) {
    ASSERT_EQ(get(), 200U);
    ++requests;
    ASSERT_TRUE(fakes::eventually(counted));
  }
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(agent.health(), HasSubstr("\"config_hash\":\"" + report->config_hash + "\""));
  EXPECT_THAT(agent.health(), HasSubstr("\"version\":\"" + report->version + "\""));
  EXPECT_FALSE(report->version.empty());
  EXPECT_EQ(report->hits, 1U);
  EXPECT_EQ(report->misses, requests - 1);
  EXPECT_EQ(report->sent_bytes, requests * 21) << "what it tells of itself is nothing that it has served";
  EXPECT_EQ(report->upstream_bytes, 21U);
  EXPECT_GT(report->stored_bytes, 0U);
  ASSERT_EQ(report->upstreams.size(), 1U);
  EXPECT_EQ(report->upstreams[0].name, "main");
  EXPECT_EQ(report->upstreams[0].state, "closed");
}

TEST_F(RealAgent, names_the_upstream_that_it_leaves_alone_and_why) {
  fakes::Agent agent(setup_);
  ASSERT_TRUE(agent.start()) << agent.log();
  upstream_.go_down();
  fakes::get(agent.node(), "/go/example.com/a/@v/v1.0.0.info");
  const auto report = ask(agent);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->upstreams.size(), 1U);
  EXPECT_EQ(report->upstreams[0].state, "open");
  EXPECT_FALSE(report->upstreams[0].error.empty());
}

TEST_F(RealAgent, tells_of_the_worse_of_two_upstreams_with_one_name) {
  fakes::ScriptedUpstream registry;
  setup_.images = "{registries: [{name: example.com, upstreams: [{name: main, url: \"" + registry.url() + "\"}]}]}";
  fakes::Agent agent(setup_);
  ASSERT_TRUE(agent.start()) << agent.log();
  registry.go_down();
  fakes::get(agent.node(), "/v2/app/manifests/latest?ns=example.com");
  const auto report = ask(agent);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->upstreams.size(), 1U);
  EXPECT_EQ(report->upstreams[0].state, "open");
}

TEST_F(RealAgent, is_asked_again_after_it_was_gone) {
  fakes::Agent agent(setup_);
  ASSERT_TRUE(agent.start()) << agent.log();
  ASSERT_TRUE(ask(agent));
  agent.kill();
  EXPECT_FALSE(ask(agent));
  ASSERT_TRUE(agent.start()) << agent.log();
  EXPECT_TRUE(ask(agent));
}

TEST(Probe, asks_a_thousand_agents_within_two_seconds_and_keeps_their_order) {
  const ManyAgents agents(as_agent);
  const auto probe = make_agent_probe();
  const auto all = addresses(1000);
  std::vector<Result<AgentReport>> reports;
  const auto took = time_of([&] { reports = probe->ask(all, agents.port(), kLimit); });
  RecordProperty("milliseconds", std::to_string(took.count()));
  ASSERT_EQ(reports.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(reports[i]) << reports[i].error().message;
    ASSERT_EQ(reports[i]->config_hash, "hash-" + all[i]);
    ASSERT_EQ(reports[i]->hits, 9U);
  }
  EXPECT_LE(took, seconds(2));
}

TEST(Probe, of_nobody_is_nothing) { EXPECT_TRUE(make_agent_probe()->ask({}, 5051, kLimit).empty()); }

TEST(Probe, keeps_connections_for_the_next_round) {
  const ManyAgents agents(as_agent);
  const auto probe = make_agent_probe();
  const auto all = addresses(20);
  for (int round = 0; round < 3; ++round) {
    for (const auto& report : probe->ask(all, agents.port(), kLimit)) ASSERT_TRUE(report) << report.error().message;
  }
  EXPECT_EQ(agents.connections(), all.size());
}

TEST(Probe, has_an_answer_from_the_others_while_some_hang) {
  const ManyAgents agents(
      [](const std::string& address, const std::string& path) { return address.ends_with("3") ? "" : as_agent(address, path); });
  const auto all = addresses(100);
  std::vector<Result<AgentReport>> reports;
  const auto took = time_of([&] { reports = make_agent_probe(16)->ask(all, agents.port(), milliseconds(500)); });
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].ends_with("3")) {
      ASSERT_FALSE(reports[i]);
      EXPECT_EQ(reports[i].error().code, ErrorCode::kTimeout);
      EXPECT_EQ(reports[i].error().message, all[i] + ":" + std::to_string(agents.port()) + ": no answer in time");
    } else {
      EXPECT_TRUE(reports[i]) << reports[i].error().message;
    }
  }
  EXPECT_GE(took, milliseconds(500));
  EXPECT_LE(took, seconds(4));  // ten of a hundred hang
}

TEST(Probe, limits_both_questions_together) {
  const auto took = time_of([] {
    const auto report =
        asked([](const std::string& address, const std::string& path) { return path == "/metrics" ? "" : as_agent(address, path); },
              milliseconds(300));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::kTimeout);
  });
  EXPECT_LE(took, seconds(2));
}

TEST(Probe, takes_a_v6_address) {
  const ManyAgents agents(as_agent);
  const auto reports = make_agent_probe()->ask({"::1"}, agents.port(), kLimit);
  ASSERT_TRUE(reports[0]) << reports[0].error().message;
  EXPECT_EQ(reports[0]->config_hash, "hash-::1");
}

TEST(Probe, refuses_what_is_no_address_and_asks_the_rest) {
  const ManyAgents agents(as_agent);
  const auto reports = make_agent_probe(1)->ask({"", "user@127.0.0.1", "127.0.0.1/x", "a b", "127.0.0.1"}, agents.port(), kLimit);
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_FALSE(reports[i]) << i;
    EXPECT_EQ(reports[i].error().code, ErrorCode::kInvalid);
  }
  EXPECT_TRUE(reports[4]);
  EXPECT_EQ(agents.connections(), 1U);
}

TEST(Probe, says_that_nobody_listens) {
  const auto reports = make_agent_probe()->ask({"127.0.0.1"}, fakes::free_port(), kLimit);
  ASSERT_FALSE(reports[0]);
  EXPECT_EQ(reports[0].error().code, ErrorCode::kUpstream);
  EXPECT_THAT(reports[0].error().message, HasSubstr("Couldn't connect to server"));
}

TEST(Probe, takes_no_answer_of_more_than_eight_mebibytes) {
  std::string body;
  body.resize(0x900000, ' ');
  const auto report = asked(always(http_answer(body)));
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("larger than 8 MiB"));
  const auto chunked = asked(always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n900000\r\n" + body + "\r\n0\r\n\r\n"));
  ASSERT_FALSE(chunked);
  EXPECT_THAT(chunked.error().message, HasSubstr("larger than 8 MiB"));
}

TEST(Probe, does_not_take_nonsense_for_an_agent) {
  for (const auto* body :
       {"", "<html>", "[]", "{}", "{\"fills\": [], \"upstreams\": []}", "{\"fills\": 1, \"upstreams\": 2, \"config_hash\": 3}"}) {
    EXPECT_FALSE(asked(always(http_answer(body)))) << body;
  }
  EXPECT_FALSE(asked(always("SSH-2.0-OpenSSH_9.2\r\n")));
  EXPECT_THAT(asked(always(http_answer("gone", "404 Not Found"))).error().message, HasSubstr("answered 404"));
}

TEST(Probe, follows_no_redirect) {
  const auto report = asked(always("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/status\r\nContent-Length: 0\r\n\r\n"));
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("answered 302"));
}

TEST(Probe, heeds_no_proxy_of_the_environment) {
  const std::string nobody = "http://127.0.0.1:" + std::to_string(fakes::free_port());
  for (const auto* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) setenv(name, nobody.c_str(), 1);
  const auto report = asked(as_agent);
  for (const auto* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  EXPECT_TRUE(report) << report.error().message;
}

}  // namespace
}  // namespace cistern::reconcile
