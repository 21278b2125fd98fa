#include "cache-agent/cache/verdict.hpp"

#include <gtest/gtest.h>

namespace cistern::cache {
namespace {

Error error(ErrorCode code) { return Error{code, "e", std::nullopt}; }

TEST(Verdict, NotFoundOnlyIfEverySourceSaidSo) {
  EXPECT_EQ(verdict({error(ErrorCode::kNotFound), error(ErrorCode::kGone)}).code, ErrorCode::kGone);
  EXPECT_EQ(verdict({error(ErrorCode::kNotFound), error(ErrorCode::kTimeout)}).code, ErrorCode::kTimeout);
  EXPECT_EQ(verdict({error(ErrorCode::kUpstream), error(ErrorCode::kNotFound)}).code, ErrorCode::kUpstream);
}

TEST(Verdict, FallbackOfGoSourcesIsObeyed) {
  Source strict{nullptr, {}, config::Fallback::kNotFound, false, false, {}};
  EXPECT_TRUE(may_ask_next(strict, error(ErrorCode::kNotFound)));
  EXPECT_TRUE(may_ask_next(strict, error(ErrorCode::kGone)));
  EXPECT_FALSE(may_ask_next(strict, error(ErrorCode::kUpstream)));
  EXPECT_FALSE(may_ask_next(strict, error(ErrorCode::kForbidden)));
  Source any{nullptr, {}, config::Fallback::kAny, false, false, {}};
  EXPECT_TRUE(may_ask_next(any, error(ErrorCode::kUpstream)));
}

TEST(Verdict, APeerIsPassedOverUnlessItSpeaksForTheUpstream) {
  Source peer{nullptr, {}, config::Fallback::kNotFound, true, false, {}};
  EXPECT_FALSE(may_ask_next(peer, error(ErrorCode::kNotFound)));
  EXPECT_FALSE(may_ask_next(peer, error(ErrorCode::kTooManyRequests)));
  EXPECT_TRUE(may_ask_next(peer, error(ErrorCode::kForbidden)));
  EXPECT_TRUE(may_ask_next(peer, error(ErrorCode::kTimeout)));
}

TEST(Verdict, StatusesKeepTheirMeaning) {
  upstream::Head head;
  const auto code_of = [&](unsigned status) {
    head.status = status;
    return error_of_status("up", head, "").code;
  };
  EXPECT_EQ(code_of(404), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(410), ErrorCode::kGone);
  EXPECT_EQ(code_of(401), ErrorCode::kForbidden);
  EXPECT_EQ(code_of(403), ErrorCode::kForbidden);
  EXPECT_EQ(code_of(500), ErrorCode::kUpstream);
  EXPECT_EQ(code_of(302), ErrorCode::kUpstream);
  head.headers.add("Retry-After", "17");
  head.status = 429;
  EXPECT_EQ(error_of_status("up", head, "").retry_after, std::chrono::seconds(17));
}

TEST(Verdict, ContentRangeStart) {
  EXPECT_EQ(content_range_start("bytes 100-199/200"), 100U);
  EXPECT_EQ(content_range_start("bytes */200"), std::nullopt);
  EXPECT_EQ(content_range_start("items 1-2/3"), std::nullopt);
  EXPECT_EQ(content_range_start("bytes 100"), std::nullopt);
}

}  // namespace
}  // namespace cistern::cache
