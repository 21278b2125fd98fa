#include "cache-agent/observe/metrics.hpp"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cistern::observe {
namespace {

using testing::HasSubstr;
using testing::Not;

http::Exchange exchange(const char* ecosystem, const char* result, unsigned status,
                        std::chrono::microseconds duration = std::chrono::microseconds(100), std::uint64_t sent = 10) {
  return {nullptr, status, {ecosystem, result}, sent, true, duration};
}

TEST(Metrics, RequestsAreCountedByEcosystemResultAndCode) {
  Metrics metrics("1.2.3");
  metrics.request(exchange("go", "hit", 200));
  metrics.request(exchange("go", "hit", 200));
  metrics.request(exchange("oci", "miss", 404));
  metrics.request(exchange("", "", 200));
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("# TYPE cistern_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr("cistern_requests_total{ecosystem=\"go\",result=\"hit\",code=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cistern_requests_total{ecosystem=\"oci\",result=\"miss\",code=\"404\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cistern_requests_total{ecosystem=\"\",result=\"\",code=\"200\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cistern_sent_bytes_total 30\n")) << "of what clients were served";
}

TEST(Metrics, WhatIsNotKnownBeforehandMakesNoNewSeries) {
  Metrics metrics("1");
  metrics.request(exchange("new", "odd", 299));
  metrics.request(exchange("newer", "odder", 999));
  metrics.request(exchange("newest", "oddest", 0));
  EXPECT_THAT(metrics.text(), HasSubstr("cistern_requests_total{ecosystem=\"other\",result=\"other\",code=\"other\"} 3\n"));
}

TEST(Metrics, DurationsAreAHistogramInSeconds) {
  Metrics metrics("1");
  metrics.request(exchange("go", "hit", 200, std::chrono::microseconds(500)));
  metrics.request(exchange("go", "miss", 200, std::chrono::milliseconds(20)));
  metrics.request(exchange("go", "miss", 200, std::chrono::seconds(100)));
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("cistern_request_duration_seconds_count 3\n"));
  EXPECT_THAT(text, HasSubstr("cistern_request_duration_seconds_sum 100.0205\n"));
  EXPECT_THAT(text, HasSubstr("cistern_request_duration_seconds_bucket{le=\"0.0005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cistern_request_duration_seconds_bucket{le=\"0.05\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cistern_request_duration_seconds_bucket{le=\"30\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cistern_request_duration_seconds_bucket{le=\"+Inf\"} 3\n"));
}

TEST(Metrics, StaleAnswersAreCounted) {
  Metrics metrics("1");
  EXPECT_THAT(metrics.text(), HasSubstr("cistern_stale_answers_total 0\n"));
  metrics.request(exchange("go", "stale", 200));
  metrics.request(exchange("oci", "stale", 200));
  EXPECT_THAT(metrics.text(), HasSubstr("cistern_stale_answers_total 2\n"));
}

TEST(Metrics, UpstreamsPeersAndVerificationAreCounted) {
  Metrics metrics("1");
  metrics.answered("main", 200);
  metrics.answered("main", 200);
  metrics.answered("main", 0);
  metrics.received("main", 1000);
  metrics.received("main", 24);
  metrics.verify_failure("digest");
  metrics.peer_request("client", "ok");
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("cistern_upstream_requests_total{code=\"200\",upstream=\"main\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_requests_total{code=\"0\",upstream=\"main\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_received_bytes_total{upstream=\"main\"} 1024\n"));
  EXPECT_THAT(text, HasSubstr("cistern_verify_failures_total{kind=\"digest\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cistern_peer_requests_total{peer_role=\"client\",result=\"ok\"} 1\n"));
}

TEST(Metrics, StatesAreReadAtTheScrape) {
  Metrics metrics("1.2.3");
  EXPECT_THAT(metrics.text(), Not(HasSubstr("cistern_store_bytes")));
  std::size_t fills = 0;
  Sources sources;
  sources.store = [] {
    store::Stats stats;
    stats.bytes = 2048;
    stats.objects = 7;
    stats.evictions = 3;
    return stats;
  };
  sources.fills = [&fills] { return fills; };
  sources.upstreams = [] {
    upstream::Health open;
    open.state = upstream::BreakerState::kOpen;
    open.measures.requests = {3, std::chrono::milliseconds(250), std::chrono::milliseconds(50), {}, {}};
    open.measures.connect = std::chrono::milliseconds(125);
    open.canary.emplace();
    open.canary->state = upstream::CanaryHealth::State::kWithdrawn;
    return std::vector<UpstreamStatus>{{"main", open, true}, {"other", {}, {}}};
  };
  sources.preference_changes = [] { return 4; };
  metrics.set_sources(sources);
  metrics.set_config("0123456789abcdef", "default");
  fills = 5;
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("cistern_store_bytes 2048\n"));
  EXPECT_THAT(text, HasSubstr("cistern_store_objects 7\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE cistern_store_evictions_total counter\ncistern_store_evictions_total 3\n"));
  EXPECT_THAT(text, HasSubstr("cistern_fills_inflight 5\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_state{upstream=\"main\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_state{upstream=\"other\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_latency_seconds{upstream=\"main\",phase=\"connect\"} 0.125\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_latency_seconds{upstream=\"main\",phase=\"first_byte\"} 0.25\n"));
  EXPECT_THAT(text, Not(HasSubstr("phase=\"total\"")));
  EXPECT_THAT(text, Not(HasSubstr("cistern_upstream_latency_seconds{upstream=\"other\"")));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_jitter_seconds{upstream=\"main\"} 0.05\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_score_seconds{upstream=\"main\"} 0.3\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_preferred{upstream=\"main\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cistern_upstream_preference_changes_total 4\n"));
  EXPECT_THAT(text, HasSubstr("cistern_canary_state{upstream=\"main\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cistern_config_info{hash=\"0123456789abcdef\",policy=\"default\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cistern_build_info{version=\"1.2.3\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nprocess_resident_memory_bytes "));
  EXPECT_THAT(text, Not(HasSubstr("\nprocess_resident_memory_bytes 0\n")));
  EXPECT_THAT(text, Not(HasSubstr("\nprocess_open_fds 0\n")));
}

TEST(Metrics, OneNameInSeveralListsIsShownOnce) {
  upstream::Health good;
  good.measures.requests.samples = 9;
  good.canary.emplace();
  upstream::Health bad;
  bad.state = upstream::BreakerState::kOpen;
  bad.canary.emplace().state = upstream::CanaryHealth::State::kWithdrawn;
  UpstreamStatus into{"main", good, false};
  merge(into, {"main", bad, true});
  EXPECT_EQ(into.health.state, upstream::BreakerState::kOpen);
  EXPECT_EQ(into.health.measures.requests.samples, 9U);
  EXPECT_EQ(into.health.canary->state, upstream::CanaryHealth::State::kWithdrawn);
  EXPECT_EQ(into.preferred, true);
}

TEST(Metrics, NothingIsLostBetweenThreads) {
  Metrics metrics("1");
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&metrics] {
      for (int i = 0; i < 10'000; ++i) {
        metrics.request(exchange("go", "hit", 200));
        if (i % 1000 == 0) metrics.text();
      }
      metrics.answered("main", 200);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(metrics.text(), HasSubstr("cistern_requests_total{ecosystem=\"go\",result=\"hit\",code=\"200\"} 80000\n"));
  EXPECT_THAT(metrics.text(), HasSubstr("cistern_upstream_requests_total{code=\"200\",upstream=\"main\"} 8\n"));
}

}  // namespace
}  // namespace cistern::observe
