// What pods and their agents come to: in the status' words, and in sums.
#include <gtest/gtest.h>

#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/totals.hpp"
#include "operator/reconcile/trim.hpp"

namespace cistern::reconcile {
namespace {

using kube::Json;

AgentPod seen(const char* text) {
  Json pod = Json::parse(text);
  trim_pod(pod);
  return agent_pod(pod);
}

TEST(AgentPodOf, AReadyPod) {
  const auto pod =
      seen(R"({"metadata": {"name": "p"}, "spec": {"nodeName": "n"}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [{"image": "i", "restartCount": 2, "state": {"running": {}}}]}})");
  EXPECT_EQ(pod.name, "p");
  EXPECT_EQ(pod.node, "n");
  EXPECT_TRUE(pod.ready);
  EXPECT_EQ(pod.image, "i");
  EXPECT_EQ(pod.restarts, 2U);
  EXPECT_EQ(pod.waiting_reason, "");
}

TEST(AgentPodOf, AnImageThatCanNotBePulled) {
  const auto pod = seen(R"({"metadata": {"name": "p"}, "status": {
    "initContainerStatuses": [{"image": "i", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}],
    "containerStatuses": [{"image": "i", "state": {"waiting": {"reason": "PodInitializing"}}}]}})");
  EXPECT_EQ(pod.waiting_reason, "ImagePullBackOff");
  EXPECT_EQ(pod.waiting_message, "no such image");
}

TEST(AgentPodOf, AnAgentThatCrashes) {
  const auto pod = seen(R"({"metadata": {"name": "p"}, "status": {"containerStatuses": [{"image": "i", "restartCount": 4,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
    "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "bad config"}}}]}})");
  EXPECT_EQ(pod.waiting_reason, "CrashLoopBackOff");
  EXPECT_EQ(pod.last_end, "exit code 1: bad config");
}

TEST(AgentPodOf, APodThatNoNodeTakes) {
  const auto pod =
      seen(R"({"metadata": {"name": "p"}, "spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
    {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n7"]}]}]}}}},
    "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient memory"}]}})");
  EXPECT_EQ(pod.node, "n7");
  EXPECT_EQ(pod.unschedulable, "Insufficient memory");
}

TEST(AgentPodOf, AnEvictedPodAndOneThatGoes) {
  EXPECT_EQ(
      seen(R"({"metadata": {"name": "p"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on disk"}})").waiting_reason,
      "Evicted");
  EXPECT_TRUE(seen(R"({"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}})").terminating);
}

AgentReport report(std::uint64_t hits, std::uint64_t sent, std::uint64_t received, std::uint64_t stored = 0) {
  AgentReport made;
  made.hits = hits;
  made.sent_bytes = sent;
  made.upstream_bytes = received;
  made.stored_bytes = stored;
  return made;
}

TEST(TotalsOf, IncreasesAreSummedOverAgents) {
  Totals totals;
  EXPECT_TRUE(totals.add("p", "a", report(10, 100, 40, 7), false));
  EXPECT_TRUE(totals.add("p", "b", report(1, 10, 4, 3), false));
  EXPECT_FALSE(totals.add("p", "b", report(1, 10, 4, 3), false));
  EXPECT_TRUE(totals.add("p", "a", report(15, 150, 60, 8), false));
  const auto sum = totals.of("p");
  EXPECT_EQ(sum.hits, 16U);
  EXPECT_EQ(sum.sent_bytes, 160U);
  EXPECT_EQ(sum.upstream_bytes, 64U);
  EXPECT_EQ(sum.stored_bytes, 11U);
}

TEST(TotalsOf, AnAgentThatStartsAgainCountsOn) {
  Totals totals;
  totals.add("p", "a", report(10, 100, 40), false);
  totals.add("p", "a", report(2, 20, 5), false);
  EXPECT_EQ(totals.of("p").hits, 12U);
  EXPECT_EQ(totals.of("p").sent_bytes, 120U);
}

TEST(TotalsOf, WhatAnAgentServedOutlivesItButNotWhatItStores) {
  Totals totals;
  totals.add("p", "a", report(10, 100, 40, 9), false);
  totals.forget_pod("p", "a");
  EXPECT_EQ(totals.of("p").hits, 10U);
  EXPECT_EQ(totals.of("p").stored_bytes, 0U);
}

TEST(TotalsOf, ANewOperatorGoesOnFromTheStatus) {
  Totals totals;
  totals.begin("p", Json{{"cache", {{"upstreamBytesSaved", 1000}}}});
  totals.begin("p", Json{{"cache", {{"upstreamBytesSaved", 9999}}}});
  totals.add("p", "old", report(10, 100, 40), true);
  totals.add("p", "new", report(1, 30, 10), false);
  const auto sum = totals.of("p");
  EXPECT_EQ(sum.sent_bytes - sum.upstream_bytes, 1020U);
  EXPECT_EQ(sum.hits, 11U);
}

}  // namespace
}  // namespace cistern::reconcile
