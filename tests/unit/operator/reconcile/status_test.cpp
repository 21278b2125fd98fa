// What the recorded states do not show: numbers, times, and the words' limits.
#include "operator/reconcile/status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "operator/reconcile/words.hpp"
#include "tests/unit/operator/reconcile/status_world.hpp"

namespace cistern::reconcile {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

std::string message(const json& status, const std::string& type) { return condition(status, type).at("message"); }
std::string reason(const json& status, const std::string& type) { return condition(status, type).at("reason"); }
std::string value(const json& status, const std::string& type) { return condition(status, type).at("status"); }

TEST(Transition, time_is_kept_while_the_status_is_the_same_and_new_when_it_turns) {
  World world;
  world.object["status"] = world.status();
  world.sick_pod(0).waiting_reason = "ImagePullBackOff";
  const auto later = world.status(World::kNow + std::chrono::seconds(60));
  EXPECT_EQ(condition(later, "Ready")["lastTransitionTime"], "2026-01-02T03:05:05Z");
  EXPECT_EQ(condition(later, "Accepted")["lastTransitionTime"], "2026-01-02T03:04:05Z");
  world.object["status"] = later;
  world.sick_pod(0).waiting_reason = "CrashLoopBackOff";  // not ready for another reason
  const auto last = world.status(World::kNow + std::chrono::seconds(120));
  EXPECT_EQ(reason(last, "Ready"), "CrashLooping");
  EXPECT_EQ(condition(last, "Ready")["lastTransitionTime"], "2026-01-02T03:05:05Z");
}

TEST(Injection, that_does_not_come_about_degrades_and_says_where_and_why) {
  World world;
  world.state.maps_refused = {{"shop", "ConfigMap shop/cistern-env is there already"}};
  auto status = world.status();
  EXPECT_EQ(reason(status, "Degraded"), "ConfigMapRefused");
  EXPECT_THAT(message(status, "Degraded"), HasSubstr("of 1 namespace could"));
  EXPECT_THAT(message(status, "Degraded"), HasSubstr("shop (ConfigMap shop/cistern-env is there already)"));
  EXPECT_EQ(value(status, "Ready"), "True");
  world.state.webhook_trouble = "there is no MutatingWebhookConfiguration cistern";
  status = world.status();
  EXPECT_EQ(reason(status, "Degraded"), "WebhookUnavailable");
  EXPECT_THAT(message(status, "Degraded"), HasSubstr("created without their variables: there is no Mutating"));
  EXPECT_THAT(message(status, "Degraded"), HasSubstr("Also ConfigMapRefused"));
}

TEST(Transition, time_is_new_where_the_object_has_a_status_of_somebody_elses) {
  for (const auto* text :
       {"null", "{}", "5", R"({"conditions": 7})", R"({"conditions": [1, {"type": "Ready"}, {"type": "Ready", "status": "True"}]})",
        R"({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": 5}]})"}) {
    World world;
    world.object["status"] = json::parse(text);
    EXPECT_EQ(condition(world.status(), "Ready")["lastTransitionTime"], "2026-01-02T03:04:05Z") << text;
  }
}

TEST(Generation, is_the_one_looked_at_also_when_it_is_not_accepted) {
  World world;
  world.object["metadata"]["generation"] = 7;
  world.state.invalid = "spec.retries: 400 is more than 10";
  world.state.accepted_generation = 6;
  const auto status = world.status();
  EXPECT_EQ(status["observedGeneration"], 7);
  EXPECT_EQ(condition(status, "Accepted")["observedGeneration"], 7);
  EXPECT_THAT(message(status, "Accepted"), HasSubstr("Generation 6 stays in force"));
}

TEST(Numbers, change_only_when_what_they_tell_changes) {
  World world;
  const auto before = world.status();
  world.totals.hits += 7;
  world.totals.sent_bytes += 40'000;
  world.totals.stored_bytes += 1'000'000;
  EXPECT_EQ(world.status().dump(), before.dump());
  EXPECT_EQ(before["cache"], (json{{"hitRatio", "0.97"}, {"storedBytes", 120'000'000}, {"upstreamBytesSaved", 9'000'000}}));
}

TEST(Numbers, are_never_better_than_the_truth) {
  World world;
  world.totals = {9999, 1, 100, 2000, 99};
  auto cache = world.status()["cache"];
  EXPECT_EQ(cache["hitRatio"], "0.99");
  EXPECT_EQ(cache["upstreamBytesSaved"], 0);
  EXPECT_EQ(cache["storedBytes"], 99);
  world.totals = {10, 0, 0, 0, 0};
  EXPECT_EQ(world.status()["cache"]["hitRatio"], "1.00");
  world.totals = {};
  EXPECT_FALSE(world.status()["cache"].contains("hitRatio"));
}

TEST(Ready, is_only_what_answers_with_the_groups_hash_on_a_selected_node) {
  World world;
  world.pod(0).report->config_hash = "hash-old";
  world.pod(1).report.reset();
  world.pod(2).terminating = true;
  auto stranger = world.pod(1);
  stranger.node = "n9";
  stranger.report = AgentReport{};
  stranger.report->config_hash = world.group().config_hash;
  world.group().pods.push_back(stranger);
  const auto status = world.status();
  EXPECT_EQ(status["agents"], (json{{"desired", 3}, {"ready", 0}, {"summary", "0/3"}}));
  EXPECT_EQ(reason(status, "Ready"), "RollingOut");
  EXPECT_THAT(message(status, "Ready"), HasSubstr("No pod yet on: n3. Starting on: n2. The new configuration is not in force yet on: n1."));
}

TEST(Ready, counts_a_node_once_while_one_pod_takes_over_from_another) {
  World world;
  auto next = world.pod(0);
  next.name = "a-second-one";
  next.ready = false;
  next.report.reset();
  next.waiting_reason = "ImagePullBackOff";
  world.group().pods.push_back(next);
  EXPECT_EQ(value(world.status(), "Ready"), "True");
  EXPECT_EQ(world.status()["agents"]["ready"], 3);
}

TEST(Degraded, names_a_canary_that_was_withdrawn_and_why) {
  World world;
  EXPECT_EQ(value(world.status(), "Degraded"), "False");
  const auto before = world.status();
  world.pod(0).report->upstreams[0].canary_withdrawn = "6 of 24 objects failed; with the other upstreams 0 of 210 objects failed";
  world.pod(2).report->upstreams[0].canary_withdrawn = "first byte after 900 ms; with the other upstreams after 80 ms";
  const auto status = world.status();
  EXPECT_EQ(value(status, "Ready"), "True");
  EXPECT_EQ(reason(status, "Degraded"), "CanaryWithdrawn");
  EXPECT_THAT(
      message(status, "Degraded"),
      HasSubstr("Canary withdrawn: main by 2 of 3 agents (6 of 24 objects failed; with the other upstreams 0 of 210 objects failed)"));
  const auto events = status_events(before, status);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_TRUE(events[0].warning);
  EXPECT_EQ(events[0].reason, "CanaryWithdrawn");
}

TEST(Ready, is_no_matter_of_upstreams_and_missing_references) {
  World world;
  world.group().missing = {{"spec.go.upstreams[0].credentialsRef", "Secret corp does not exist in cistern-system"}};
  world.pod(0).report->upstreams[0].state = "open";
  const auto status = world.status();
  EXPECT_EQ(value(status, "Ready"), "True");
  EXPECT_EQ(value(status, "Degraded"), "True");
  EXPECT_EQ(reason(status, "Degraded"), "SecretMissing");
  EXPECT_THAT(message(status, "Degraded"), HasSubstr(" Also UpstreamUnreachable: Upstream fails: main for 1 of 3 agents."));
}

TEST(Ready, is_no_matter_of_a_try_to_write_that_failed_while_all_agents_are_in_force) {
  World world;
  world.group().apply_error = "503: etcdserver: request timed out";
  auto status = world.status();
  EXPECT_EQ(value(status, "Ready"), "True");
  EXPECT_EQ(value(status, "Reconciling"), "True");
  world.pod(0).report->config_hash = "hash-old";
  status = world.status();
  EXPECT_EQ(value(status, "Ready"), "False");
  EXPECT_EQ(reason(status, "Ready"), "ApplyFailed");
  EXPECT_THAT(message(status, "Ready"), HasSubstr("The new configuration is not in force yet on: n1."));
}

TEST(Crashes, are_told_by_restarts_while_kubelet_tries_again_so_that_the_reason_does_not_come_and_go) {
  World world;
  auto& pod = world.sick_pod(0);
  pod.restarts = 5;
  pod.last_end = "exit code 2";
  pod.waiting_reason = "CrashLoopBackOff";
  pod.waiting_message = "back-off 10s";
  const auto waiting = world.status();
  pod.waiting_reason.clear();
  pod.waiting_message.clear();
  const auto trying = world.status();
  EXPECT_EQ(reason(waiting, "Ready"), "CrashLooping");
  EXPECT_EQ(trying.dump(), waiting.dump());
  pod.restarts = 1;
  EXPECT_EQ(reason(world.status(), "Ready"), "RollingOut");
}

TEST(Images, have_the_same_words_while_kubelet_pulls_and_while_it_waits) {
  World world;
  auto& pod = world.sick_pod(0);
  pod.waiting_reason = "ErrImagePull";
  pod.waiting_message = "failed to pull: not found";
  const auto pulling = world.status();
  pod.waiting_reason = "ImagePullBackOff";
  pod.waiting_message = "Back-off pulling image \"registry.example/cistern:1.0.0\": ErrImagePull: failed to pull: not found";
  EXPECT_EQ(world.status().dump(), pulling.dump());
  EXPECT_THAT(message(pulling, "Ready"),
              HasSubstr("registry.example/cistern:1.0.0 cannot be pulled on n1; kubelet says of pod cistern-default-n1: failed to "
                        "pull: not found."));
}

TEST(Upstreams, have_the_same_words_however_long_it_took_to_fail) {
  World world;
  auto& upstream = world.pod(0).report->upstreams[0];
  upstream = {"main", "open", "main: Failed to connect to h port 1 after 2 ms: refused after 7 tries"};
  const auto first = world.status();
  upstream.error = "main: Failed to connect to h port 1 after 3001 ms: refused after 7 tries";
  EXPECT_EQ(world.status().dump(), first.dump());
  EXPECT_THAT(message(first, "Degraded"), HasSubstr("main for 1 of 3 agents (main: Failed to connect to h port 1: refused after 7 tries)"));
  upstream.state = "half-open";  // asked on trial only: it has failed the last time
  EXPECT_EQ(world.status().dump(), first.dump());
}

TEST(Names, are_a_few_and_the_rest_is_counted) {
  World world;
  world.state.groups.clear();
  std::vector<std::string> nodes;
  for (int i = 10; i < 20; ++i) nodes.push_back(fmt::format("n{}", i));
  world.state.groups.push_back(group_in_force("default", nodes));
  world.group().unreachable = nodes;
  world.group().unreachable.pop_back();
  world.outcome.nodes = 10;
  EXPECT_THAT(message(world.status(), "Ready"),
              HasSubstr("1 of 1 agent ready and in force. 9 nodes are unreachable and do not count: n10, n11, n12 and 6 more."));
}

TEST(Messages, are_cut_between_characters_and_hold_no_control_characters_whatever_others_say) {
  World world;
  std::string words;
  while (words.size() < 5000) words += "ä\n\t\x01 \xff…";
  world.state.invalid = words;
  world.group().apply_error = words;
  world.group().apply_refused = true;
  world.outcome.problems = {words};
  world.outcome.notices = {{{}, "spec.prefetch", words}};
  world.group().missing = {{"spec.x.credentialsRef", words}, {"spec.x.caRef", words}};
  for (int i = 0; i < 3; ++i) world.sick_pod(static_cast<std::size_t>(i)).waiting_message = words;
  world.pod(0).waiting_reason = "ErrImagePull";
  world.pod(1).waiting_reason = "CreateContainerError";
  world.pod(2).unschedulable = words;
  const auto check = [&] {
    const auto status = world.status();
    for (const auto& one : status["conditions"]) {
      const auto text = one["message"].get<std::string>();
      EXPECT_LE(text.size(), 1024U);
      EXPECT_TRUE(std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }));
    }
    EXPECT_NO_THROW(status.dump());  // which refuses what is no UTF-8
  };
  check();
  world.state.invalid.reset();
  check();
}

TEST(Words, name_the_first_few) {
  EXPECT_EQ(few({"a"}), "a");
  EXPECT_EQ(few({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(few({"a", "b", "c", "d"}), "a, b, c and 1 more");
  EXPECT_EQ(few({"a", "b", "c"}, 2, "; "), "a; b and 1 more");
  EXPECT_EQ(counted(0, "node"), "0 nodes");
  EXPECT_EQ(counted(1, "node"), "1 node");
}

TEST(Words, are_one_line) {
  EXPECT_EQ(one_line(" a\n\nb.\n"), "a; b");
  EXPECT_EQ(one_line("a\t\x01"
                     "b"),
            "a b");
  EXPECT_EQ(one_line("\xff"), "\xEF\xBF\xBD");
  EXPECT_EQ(one_line(""), "");
}

TEST(Words, are_cut_between_characters) {
  EXPECT_EQ(cut("abcdef", 6), "abcdef");
  EXPECT_EQ(cut("abcdefg", 6), "abc…");
  EXPECT_EQ(cut("ääää", 6), "ä…");
  EXPECT_EQ(cut("ääää", 7), "ää…");
}

}  // namespace
}  // namespace cistern::reconcile
