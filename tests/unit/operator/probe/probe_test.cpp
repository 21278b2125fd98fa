#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "operator/probe/measure.hpp"
#include "operator/probe/report.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::probe {
namespace {

using fakes::Reply;
using fakes::ScriptedUpstream;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

config::Upstream upstream(std::string name, std::string url, std::vector<std::string> match = {"*"}) {
  config::Upstream result;
  result.name = std::move(name);
  result.url = std::move(url);
  result.match = std::move(match);
  return result;
}

std::vector<Measured> measure_all(const std::vector<Target>& targets, unsigned count = 3) {
  Plan plan;
  plan.count = count;
  plan.timeouts = {.connect = 1s, .first_byte = 1s, .idle = 1s};
  return measure(targets, plan, [](std::size_t, std::size_t, const std::string&) {});
}

TEST(Targets, are_asked_for_nothing_that_the_policy_would_not_ask_for) {
  config::Config config;
  config::GoView view;
  view.upstreams = {upstream("corp", "https://corp", {"corp.example"}), upstream("main", "https://main")};
  view.private_patterns = {"corp.example"};
  config.go_views = {view};
  config::Registry registry;
  registry.name = "docker.io";
  registry.upstreams = {upstream("hub", "https://hub")};
  config.registries = {registry};
  const auto all = targets(config, "corp.example/Secret@v1.0.0");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].download, "/corp.example/!secret/@v/v1.0.0.zip");
  EXPECT_EQ(all[1].download, "") << "private";
  EXPECT_EQ(all[2].list, "docker.io");
  EXPECT_EQ(all[2].path, "/v2/");
  for (const auto& target : all) EXPECT_EQ(target.path.find("corp"), std::string::npos);
  EXPECT_EQ(targets(config, "golang.org/x/text@v0.14.0")[0].download, "") << "not among its patterns";
  EXPECT_EQ(targets(config, "golang.org/x/text@v0.14.0")[1].download, "/golang.org/x/text/@v/v0.14.0.zip");
  EXPECT_EQ(targets(config, "")[1].download, "");
}

TEST(Measure, takes_times_and_throughput) {
  ScriptedUpstream slow, fast;
  slow.on("/p", Reply{.delay = 50ms});
  fast.on("/p", Reply{});
  fast.on("/zip", Reply{.body = std::string(3 << 20, 'x')});
  auto all = measure_all({{"go", upstream("slow", slow.url()), "/p", ""}, {"go", upstream("fast", fast.url()), "/p", "/zip"}});
  sort(all);
  EXPECT_EQ(all[0].target.upstream.name, "fast");
  EXPECT_EQ(all[0].answered, 3U);
  EXPECT_GT(all[0].throughput.value_or(0), 1e5);
  EXPECT_GE(*all[1].first_byte, 45ms);
  EXPECT_GE(*all[1].total, *all[1].first_byte);
  EXPECT_TRUE(all[1].connect);
  EXPECT_EQ(all[1].throughput, std::nullopt);
  EXPECT_EQ(slow.connections(), 3U) << "each time a new connection";
}

TEST(Measure, takes_no_more_of_a_download_than_it_may) {
  ScriptedUpstream server;
  server.on("/p", Reply{});
  server.on("/zip", Reply{.body = std::string(30 << 20, 'x')});
  const auto all = measure_all({{"go", upstream("a", server.url()), "/p", "/zip"}}, 1);
  EXPECT_GT(all[0].throughput.value_or(0), 0);
  EXPECT_EQ(all[0].error, "");
}

TEST(Measure, says_what_fails_and_goes_on) {
  ScriptedUpstream down, broken, fine;
  down.go_down();
  broken.on("/p", Reply{.status = 502});
  fine.on("/p", Reply{.status = 401});
  auto all = measure_all({{"go", upstream("down", down.url()), "/p", "/zip"},
                          {"go", upstream("broken", broken.url()), "/p", ""},
                          {"go", upstream("fine", fine.url()), "/p", ""}});
  sort(all);
  EXPECT_EQ(all[0].target.upstream.name, "fine") << "a challenge is an answer";
  EXPECT_EQ(all[1].answered, 0U);
  EXPECT_NE(all[1].error, "");
  EXPECT_EQ(all[2].error, "answers 502");
}

TEST(Measure, sends_credentials_and_shows_none) {
  ScriptedUpstream server;
  server.on("/p", Reply{});
  server.require_basic("/", "user", "hidden");
  auto with = upstream("a", server.url());
  with.credentials = config::Credentials{"user", "hidden", ""};
  const auto all = measure_all({{"go", with, "/p", "/missing"}}, 1);
  EXPECT_EQ(all[0].answered, 1U);
  for (const auto& asked : server.asked("/p")) EXPECT_THAT(asked.header("Authorization"), HasSubstr("Basic"));
  for (const auto& text : {table(all), json(all)}) {
    EXPECT_THAT(text, Not(HasSubstr("hidden")));
    EXPECT_THAT(text, HasSubstr("answers 404 to the download"));
  }
}

std::vector<Measured> example() {
  Measured a{
      {"go", upstream("goproxy.io", "https://goproxy.io"), "/p", "/z"}, 5, 5, 12'340us, 20ms, 61'500us, 1'200us, 4.5 * (1 << 20), ""};
  Measured b{
      {"go", upstream("slow.example", "https://slow.example"), "/p", ""}, 5, 4, 80ms, 300ms, 400ms, 55ms, {}, "no answer within 3 s"};
  Measured c{{"docker.io", upstream("hub", "https://registry-1.docker.io"), "/v2/", ""}, 5, 0, {}, {}, {}, {}, {}, "connection refused"};
  return {b, a, c};
}

TEST(Report, is_a_table_with_the_better_first) {
  auto all = example();
  sort(all);
  EXPECT_EQ(table(all),
            "FOR        UPSTREAM      CONNECT      TTFB     TOTAL   JITTER  THROUGHPUT  ANSWERED\n"
            "go         goproxy.io    12.3 ms   20.0 ms   61.5 ms   1.2 ms   4.5 MiB/s  5 of 5\n"
            "go         slow.example  80.0 ms  300.0 ms  400.0 ms  55.0 ms           -  4 of 5: no answer within 3 s\n"
            "docker.io  hub                 -         -         -        -           -  0 of 5: connection refused\n");
}

TEST(Report, is_json_with_null_for_what_nobody_knows) {
  const auto parsed = nlohmann::json::parse(json(example()));
  ASSERT_EQ(parsed.size(), 3U);
  EXPECT_EQ(parsed[1]["connect_ms"], 12.3);
  EXPECT_EQ(parsed[1]["throughput_bytes_per_second"], 4.5 * (1 << 20));
  EXPECT_TRUE(parsed[2]["ttfb_ms"].is_null());
  EXPECT_EQ(parsed[2]["error"], "connection refused");
}

}  // namespace
}  // namespace cistern::probe
