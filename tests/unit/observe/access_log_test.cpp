#include "cache-agent/observe/access_log.hpp"

#include <algorithm>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "cache-agent/observe/metrics.hpp"

namespace cistern::observe {
namespace {

using testing::HasSubstr;
using testing::Not;

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() {
    const auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(written_);
    sink->set_pattern("%l %v");
    logger_ = std::make_shared<spdlog::logger>("test", sink);
    log_ = std::make_unique<AccessLog>(logger_);
    request_.method_text = "GET";
    request_.target = "/go/golang.org/x/text/@v/list";
    request_.remote = "10.0.0.7";
  }

  http::Exchange exchange(const char* result, unsigned status = 200, std::chrono::microseconds duration = std::chrono::microseconds(1250)) {
    return {&request_, status, {"go", result}, 42, true, duration};
  }
  // What has been written since the last call.
  std::string written() {
    auto text = written_.str();
    written_.str("");
    return text;
  }

  std::ostringstream written_;
  std::shared_ptr<spdlog::logger> logger_;
  std::unique_ptr<AccessLog> log_;
  http::Request request_;
};

TEST_F(AccessLogTest, AMissIsOneLine) {
  log_->record(exchange("miss"));
  EXPECT_EQ(
      written(),
      "info request client=10.0.0.7 method=GET target=/go/golang.org/x/text/@v/list status=200 ecosystem=go result=miss bytes=42 ms=1.2\n");
}

TEST_F(AccessLogTest, OneHitInSoManyIsLogged) {
  log_->configure(std::chrono::seconds(5), 10);
  for (int i = 0; i < 100; ++i) log_->record(exchange("hit"));
  const auto text = written();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10);
  log_->configure(std::chrono::seconds(5), 0);
  for (int i = 0; i < 100; ++i) log_->record(exchange("hit"));
  EXPECT_EQ(written(), "");
}

TEST_F(AccessLogTest, SlowHitsAndErrorsAreLogged) {
  log_->configure(std::chrono::seconds(2), 0);
  log_->record(exchange("hit", 200, std::chrono::seconds(2)));
  EXPECT_THAT(written(), HasSubstr("ms=2000.0"));
  log_->record(exchange("error", 502));
  EXPECT_THAT(written(), HasSubstr("warning request "));
  log_->record(exchange("hit", 404));
  EXPECT_THAT(written(), HasSubstr("status=404"));
  log_->record(exchange("stale"));
  EXPECT_THAT(written(), HasSubstr("result=stale"));
}

TEST_F(AccessLogTest, HealthChecksAreAsQuietAsHits) {
  log_->configure(std::chrono::seconds(5), 0);
  auto health = exchange("");
  health.annotation.ecosystem = "";
  log_->record(health);
  EXPECT_EQ(written(), "");
  health.status = 400;
  log_->record(health);
  EXPECT_THAT(written(), Not(HasSubstr("ecosystem=")));
}

TEST_F(AccessLogTest, AHitThatTheClientCutIsNoError) {
  log_->configure(std::chrono::seconds(5), 0);
  auto cut = exchange("hit", 206);
  cut.complete = false;
  log_->record(cut);
  EXPECT_EQ(written(), "");
  cut.annotation.result = "miss";
  log_->record(cut);
  EXPECT_THAT(written(), HasSubstr("complete=false"));
}

TEST_F(AccessLogTest, QueriesAreNotLogged) {
  request_.target = "/v2/app/blobs/x?token=secret";
  log_->record(exchange("miss"));
  const auto text = written();
  EXPECT_THAT(text, HasSubstr("target=/v2/app/blobs/x "));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
}

TEST_F(AccessLogTest, AClientCanNotForgeALineOrAField) {
  request_.target = "/x\nrequest client=evil\r\x1b[0m \"q\" \xff";
  request_.method_text = "GE T";
  log_->record(exchange("miss"));
  const auto text = written();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, HasSubstr("target=/x\\x0arequest\\x20client=evil\\x0d\\x1b[0m\\x20\\x22q\\x22\\x20\\xff status"));
  EXPECT_THAT(text, HasSubstr("method=GE\\x20T "));
  request_.target = "/" + std::string(100'000, 'a');
  log_->record(exchange("miss"));
  EXPECT_LT(written().size(), 1000U);
}

TEST_F(AccessLogTest, WhatCouldNotBeParsedIsLoggedWithoutARequest) {
  log_->record({nullptr, 400, {}, 0, true, std::chrono::microseconds(0)});
  EXPECT_EQ(written(), "info request client=- method=- target=- status=400 bytes=0 ms=0.0\n");
}

TEST_F(AccessLogTest, TheObserverCountsAndLogs) {
  Metrics metrics("1");
  const auto observer = make_observer(metrics, *log_);
  observer(exchange("miss"));
  EXPECT_THAT(written(), HasSubstr("result=miss"));
  EXPECT_THAT(metrics.text(), HasSubstr("result=\"miss\",code=\"200\"} 1\n"));
}

}  // namespace
}  // namespace cistern::observe
