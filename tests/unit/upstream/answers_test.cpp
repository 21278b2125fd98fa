// Answers and their failures: what arrives, what is retried, what ends an answer early.
#include "tests/unit/upstream/harness.hpp"

namespace cistern::upstream {
namespace {

class UpstreamAnswers : public Harness {
 protected:
  ScriptedUpstream server_;
};

TEST_F(UpstreamAnswers, DeliversHeadAndBody) {
  const std::string body(3'000'000, 'x');
  server_.on("/blob", Reply{.headers = {{"Etag", "\"1\""}}, .body = body});
  const auto got = get(upstream(server_.url()), "/blob?signature=secret");
  ASSERT_FALSE(got.error) << got.error->message;
  EXPECT_EQ(got.head.status, 200U);
  EXPECT_EQ(got.head.headers.get("ETag"), "\"1\"");
  EXPECT_EQ(got.head.length, body.size());
  EXPECT_EQ(got.head.url, server_.url() + "/blob");
  EXPECT_TRUE(got.body == body);
  const auto asked = server_.asked().at(0);
  EXPECT_THAT(asked.header("User-Agent"), testing::StartsWith("cistern/"));
  EXPECT_EQ(asked.header("Accept-Encoding"), "identity");
  EXPECT_EQ(observer_.count(200), 1U);
  EXPECT_EQ(observer_.bytes(), body.size());
}

TEST_F(UpstreamAnswers, AHeadHasNoBodyButItsLength) {
  server_.on("/blob", Reply{.body = "12345"});
  auto what = ask("/blob");
  what.verb = Verb::kHead;
  const auto got = get(upstream(server_.url()), what);
  ASSERT_FALSE(got.error);
  EXPECT_EQ(got.head.length, 5U);
  EXPECT_EQ(got.body, "");
  EXPECT_EQ(server_.count("HEAD", "/blob"), 1U);
}

TEST_F(UpstreamAnswers, AnUnknownLengthIsAbsent) {
  server_.on("/list", Reply{.body = "v1.0.0\n", .chunked = true});
  const auto got = get(upstream(server_.url()), "/list");
  ASSERT_FALSE(got.error);
  EXPECT_FALSE(got.head.length);
  EXPECT_EQ(got.body, "v1.0.0\n");
}

TEST_F(UpstreamAnswers, OneConnectionServesManyRequests) {
  server_.on("/a", Reply{.body = "a"});
  server_.on("/missing", Reply{.status = 404, .body = "no"});
  const auto from = upstream(server_.url());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(get(from, "/a").body, "a");
    // Dropped without reading its body.
    EXPECT_TRUE(run(context_, from->open(ask("/missing"))));
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_LE(server_.connections(), 2U);
}

TEST_F(UpstreamAnswers, EveryStatusIsAnAnswer) {
  for (const unsigned status : {404U, 410U, 403U, 401U, 429U, 500U}) {
    server_.on("/x", Reply{.status = status, .body = "why"});
    server_.forget();
    const auto got = get(upstream(server_.url()), "/x");
    EXPECT_EQ(got.head.status, status);
    EXPECT_EQ(got.body, "why");
    EXPECT_EQ(server_.count(), 1U) << status << " is not asked again";
  }
}

TEST_F(UpstreamAnswers, AnUnavailableUpstreamIsAskedAgain) {
  server_.on("/x", {Reply{.status = 503}, Reply{.status = 502}, Reply{.body = "ok"}});
  EXPECT_EQ(get(upstream(server_.url()), "/x").body, "ok");
  EXPECT_EQ(server_.count(), 3U);
}

TEST_F(UpstreamAnswers, After3RetriesA503IsTheAnswer) {
  server_.on("/x", Reply{.status = 503});
  EXPECT_EQ(get(upstream(server_.url()), "/x").head.status, 503U);
  EXPECT_EQ(server_.count(), 4U);
}

TEST_F(UpstreamAnswers, ALongRetryAfterIsHandedOver) {
  server_.on("/x", Reply{.status = 503, .headers = {{"Retry-After", "30"}}});
  EXPECT_EQ(get(upstream(server_.url()), "/x").head.status, 503U);
  EXPECT_EQ(server_.count(), 1U);
}

TEST_F(UpstreamAnswers, WithoutRetryThereIsOneAttempt) {
  server_.on("/x", Reply{.status = 503});
  auto what = ask("/x");
  what.retry = false;
  EXPECT_EQ(get(upstream(server_.url()), what).head.status, 503U);
  EXPECT_EQ(server_.count(), 1U);
}

TEST_F(UpstreamAnswers, AResetBeforeTheHeadIsRetried) {
  server_.on("/x", {Reply{.reset = true}, Reply{.body = "ok"}});
  EXPECT_EQ(get(upstream(server_.url()), "/x").body, "ok");
}

TEST_F(UpstreamAnswers, ARefusedConnectionNamesTheUpstreamAndNoSecret) {
  const auto url = server_.url();
  server_.go_down();
  const auto got = get(upstream(url), "/x?token=hidden");
  EXPECT_FAILS(got, ErrorCode::kUpstream);
  EXPECT_THAT(got.error->message, testing::StartsWith("mirror (127.0.0.1): "));
  EXPECT_THAT(got.error->message, testing::Not(testing::HasSubstr("hidden")));
  EXPECT_EQ(observer_.count(0), 4U);
}

TEST_F(UpstreamAnswers, AConnectionThatDiedInThePoolIsReplaced) {
  server_.on("/x", Reply{.body = "ok"});
  settings_.retries = 0;
  const auto from = upstream(server_.url());
  EXPECT_EQ(get(from, "/x").body, "ok");
  server_.go_down();
  server_.come_up();
  auto what = ask("/x");
  what.verb = Verb::kHead;
  EXPECT_EQ(get(from, what).head.status, 200U);
}

TEST_F(UpstreamAnswers, NoHeadInTimeIsATimeout) {
  server_.on("/x", Reply{.silent = true});
  settings_.retries = 0;
  auto what = ask("/x");
  what.first_byte = 100ms;
  const auto start = clock_.steady();
  const auto got = get(upstream(server_.url()), what);
  EXPECT_FAILS(got, ErrorCode::kTimeout);
  EXPECT_LT(clock_.steady() - start, 15s);
}

TEST_F(UpstreamAnswers, ACutBodyIsAnError) {
  server_.on("/x", Reply{.body = std::string(1000, 'x'), .cut_after = 600});
  const auto from = upstream(server_.url());
  const auto got = get(from, "/x");
  EXPECT_EQ(got.body.size(), 600U);
  EXPECT_FAILS(got, ErrorCode::kUpstream);
  EXPECT_EQ(server_.count(), 1U) << "after the head nothing is retried";
  EXPECT_EQ(from->health().consecutive_failures, 1U);
}

TEST_F(UpstreamAnswers, AStalledBodyIsATimeout) {
  server_.on("/x", Reply{.body = std::string(100'000, 'x'), .stall_after = 50'000});
  settings_.timeouts.idle = 1s;
  const auto got = get(upstream(server_.url()), "/x");
  EXPECT_EQ(got.body.size(), 50'000U);
  EXPECT_FAILS(got, ErrorCode::kTimeout);
}

TEST_F(UpstreamAnswers, ATrickleIsStalled) {
  server_.on("/x", Reply{.body = std::string(1000, 'x'), .piece = 1, .pause = 20ms});
  settings_.timeouts.idle = 400ms;
  EXPECT_FAILS(get(upstream(server_.url()), "/x"), ErrorCode::kTimeout);
}

TEST_F(UpstreamAnswers, ASlowButSteadyBodyArrives) {
  server_.on("/x", Reply{.body = std::string(60'000, 'x'), .piece = 1000, .pause = 40ms});
  settings_.timeouts.idle = 1s;
  const auto got = get(upstream(server_.url()), "/x");
  EXPECT_FALSE(got.error);
  EXPECT_EQ(got.body.size(), 60'000U);
}

TEST_F(UpstreamAnswers, AHeaderBlockOver64KiBIsRefused) {
  server_.on("/x", Reply{.headers = {{"X-Long", std::string(50'000, 'a')}, {"X-Longer", std::string(30'000, 'b')}}});
  EXPECT_FAILS(get(upstream(server_.url()), "/x"), ErrorCode::kUpstream);
  EXPECT_EQ(server_.count(), 1U);
}

TEST_F(UpstreamAnswers, TwoLengthsAreNonsense) {
  settings_.retries = 0;
  server_.on("/x", Reply{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"});
  EXPECT_FAILS(get(upstream(server_.url()), "/x"), ErrorCode::kUpstream);
}

TEST_F(UpstreamAnswers, InterimAnswersAreNotTheAnswer) {
  server_.on("/x", Reply{.raw = "HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"});
  const auto got = get(upstream(server_.url()), "/x");
  EXPECT_EQ(got.head.status, 200U);
  EXPECT_FALSE(got.head.headers.contains("Link"));
  EXPECT_EQ(got.body, "ok");
}

TEST_F(UpstreamAnswers, ACodedAnswerIsDecoded) {
  // gzip of "hello"
  const std::string coded("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00", 25);
  server_.on("/x", Reply{.headers = {{"Content-Encoding", "gzip"}}, .body = coded});
  const auto got = get(upstream(server_.url()), "/x");
  ASSERT_FALSE(got.error) << got.error->message;
  EXPECT_EQ(got.body, "hello");
  EXPECT_FALSE(got.head.length);
  EXPECT_FALSE(got.head.headers.contains("Content-Encoding"));
}

TEST_F(UpstreamAnswers, AnOffsetIsAskedForAndWhateverComesIsHandedOver) {
  server_.on("/blob", Reply{.body = "0123456789"});
  auto what = ask("/blob");
  what.offset = 4;
  const auto from = upstream(server_.url());
  auto got = get(from, what);
  EXPECT_EQ(got.head.status, 206U);
  EXPECT_EQ(got.head.headers.get("Content-Range"), "bytes 4-9/10");
  EXPECT_EQ(got.body, "456789");

  server_.on("/blob", Reply{.body = "0123456789", .ranges = false});
  got = get(from, what);
  EXPECT_EQ(got.head.status, 200U);
  EXPECT_EQ(got.body, "0123456789");

  server_.on("/blob", Reply{.raw = "HTTP/1.1 206 Partial\r\nContent-Range: bytes 2-3/10\r\nContent-Length: 2\r\n\r\n23"});
  got = get(from, what);
  EXPECT_EQ(got.head.headers.get("Content-Range"), "bytes 2-3/10");
  EXPECT_EQ(got.body, "23");

  server_.on("/blob", Reply{.status = 416, .body = "past"});
  got = get(from, what);
  EXPECT_EQ(got.head.status, 416U);
  EXPECT_EQ(got.body, "past");
}

TEST_F(UpstreamAnswers, A429WithRetryAfterHoldsTheNextBack) {
  server_.on("/x", Reply{.status = 429, .headers = {{"Retry-After", "7"}}});
  const auto from = upstream(server_.url());
  EXPECT_EQ(get(from, "/x").head.status, 429U);
  const auto got = get(from, "/x");
  EXPECT_FAILS(got, ErrorCode::kTooManyRequests);
  EXPECT_EQ(got.error->retry_after, 7s);
  EXPECT_EQ(server_.count(), 1U);
}

TEST_F(UpstreamAnswers, AnOpenBreakerRefusesWithoutADialAndOneProbeClosesIt) {
  client_ = make_client(manual_clock_, observer_, options_);
  settings_.breaker = {.failures = 3, .open_for = 30s};
  settings_.retries = 5;
  server_.on("/x", Reply{.status = 503});
  const auto from = upstream(server_.url());
  EXPECT_EQ(get(from, "/x").head.status, 503U);
  EXPECT_EQ(server_.count(), 3U) << "retries end when it opens";
  EXPECT_FAILS(get(from, "/x"), ErrorCode::kUnavailable);
  EXPECT_EQ(server_.count(), 3U);
  EXPECT_EQ(from->health().state, BreakerState::kOpen);
  manual_clock_.advance(30s);
  server_.on("/x", Reply{.body = "back"});
  EXPECT_EQ(get(from, "/x").body, "back");
  EXPECT_EQ(from->health().state, BreakerState::kClosed);
}

TEST_F(UpstreamAnswers, StateOutlivesAReloadOfTheSameConfiguration) {
  settings_.breaker = {.failures = 1, .open_for = 60s};
  auto before = upstream(server_.url());
  before->blame("wrong digest");
  const auto after = upstream(server_.url());
  before.reset();
  EXPECT_EQ(after->health().state, BreakerState::kOpen);
  EXPECT_EQ(after->health().last_error, "wrong digest");
  EXPECT_EQ(upstream(server_.url() + "/other")->health().state, BreakerState::kClosed);
}

TEST_F(UpstreamAnswers, ATargetWithALineBreakIsNotSent) {
  EXPECT_FAILS(get(upstream(server_.url()), "/x\r\nX-Evil: 1"), ErrorCode::kInvalid);
  EXPECT_FAILS(get(upstream(server_.url()), "x"), ErrorCode::kInvalid);
  EXPECT_EQ(server_.count(), 0U);
}

}  // namespace
}  // namespace cistern::upstream
