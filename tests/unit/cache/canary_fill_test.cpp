// What a client sees of a canary that fails: nothing.
#include "fixture.hpp"

namespace cistern::cache {
namespace {

class CanaryFill : public CacheTest {
 protected:
  CanaryFill() { cache_.set_limits(Limits{std::chrono::seconds(30), 0}); }

  // A canary, then one that is asked next after a "not found" only.
  Plan canary_plan(const std::string& key) {
    auto made = plan(key);
    made.sources[0].canary = true;
    for (std::size_t i = 0; i < made.sources.size(); ++i) {
      made.sources[i].fallback = config::Fallback::kNotFound;
      made.sources[i].outcome = [this, i](const upstream::Outcome& asked) { told_.push_back({i, asked.ok}); };
    }
    return made;
  }
  Plan with_digest(const std::string& key, const std::string& body) {
    auto made = canary_plan(key);
    made.digest = Sha256::of(std::string_view(body));
    return made;
  }
  static Script cut_after(const std::string& body, std::size_t bytes) {
    Script script;
    script.length = body.size();
    script.pieces.emplace_back(body.substr(0, bytes));
    script.pieces.emplace_back(Error{ErrorCode::kUpstream, "cut", std::nullopt});
    return script;
  }
  static std::string bytes(std::size_t size) {
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; i += 997) body[i] = static_cast<char>('a' + i % 23);
    return body;
  }

  using Told = std::vector<std::pair<std::size_t, bool>>;
  Told told_;
};

TEST_F(CanaryFill, AFailureIsNotTheClientsThoughThePolicyAsksTheNextAfterNotFoundOnly) {
  for (const auto code :
       {ErrorCode::kUpstream, ErrorCode::kTimeout, ErrorCode::kUnavailable, ErrorCode::kTooManyRequests, ErrorCode::kForbidden}) {
    upstreams_.clear();
    told_.clear();
    upstream("new").answers(Script::error(code));
    upstream("old").answers(Script::body("good"));
    const auto got = get(canary_plan(fmt::format("k{}", static_cast<int>(code))));
    EXPECT_EQ(got.body, "good") << static_cast<int>(code);
    EXPECT_EQ(told_, (Told{{0, false}, {1, true}}));
  }
}

TEST_F(CanaryFill, EveryStatusButSuccessIsPassedOver) {
  for (const auto status : {500U, 503U, 429U, 403U, 401U, 302U}) {
    upstreams_.clear();
    upstream("new").answers(Script::code(status));
    upstream("old").answers(Script::body("good"));
    EXPECT_EQ(get(canary_plan(fmt::format("k{}", status))).body, "good") << status;
  }
}

TEST_F(CanaryFill, WhatTheOthersSayIsTheAnswer) {
  upstream("new").answers(Script::error(ErrorCode::kTimeout));
  upstream("old").answers(Script::code(404));
  const auto got = get(canary_plan("k"));
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, ErrorCode::kNotFound) << "not the canary's timeout";
}

TEST_F(CanaryFill, NotFoundIsAFailureOnlyWhereTheOthersHaveIt) {
  upstream("new").answers(Script::code(404));
  upstream("old").answers(Script::body("good"));
  EXPECT_EQ(get(canary_plan("k")).body, "good");
  settle();
  EXPECT_EQ(told_, (Told{{1, true}, {0, false}}));
  told_.clear();
  upstreams_[0]->answers(Script::code(404));
  upstreams_[1]->answers(Script::code(410));
  EXPECT_EQ(get(canary_plan("gone")).error->code, ErrorCode::kGone);
  settle();
  EXPECT_EQ(told_, (Told{{1, true}, {0, true}}));
}

TEST_F(CanaryFill, ABodyThatIsCutIsNotSeen) {
  const auto body = bytes(1'000'000);
  upstream("new").answers(cut_after(body, 900'000));
  upstream("old").answers(Script::body(bytes(500'000)));
  const auto got = get(canary_plan("zip"));
  EXPECT_FALSE(got.broken);
  EXPECT_EQ(got.body, bytes(500'000)) << "compressed otherwise, and nobody had seen the first";
  settle();
  EXPECT_EQ(told_, (Told{{0, false}, {1, true}}));
}

TEST_F(CanaryFill, ALargeBodyThatIsCutGoesOnIfTheOthersIsTheSame) {
  const auto body = bytes(6'000'000);
  auto script = cut_after(body, 5'000'000);
  script.headers.emplace_back("ETag", "\"canary's\"");
  upstream("new").answers(std::move(script));
  upstream("old").answers(Script::body(body));
  const auto got = get(canary_plan("zip"));
  EXPECT_FALSE(got.broken);
  EXPECT_EQ(got.body, body);
  EXPECT_EQ(upstreams_[1]->asked().at(0).offset, 0U) << "what the canary calls it tells the other nothing";
}

TEST_F(CanaryFill, ALargeBodyIsSeenBeforeItIsWhole) {
  const auto body = bytes(6'000'000);
  auto script = Script::body(body.substr(0, 5'000'000));
  script.length = body.size();
  script.pieces.emplace_back(body.substr(5'000'000));
  script.gate = std::make_shared<std::atomic<bool>>(false);
  script.free_pieces = 1;
  upstream("new").answers(script);
  upstream("old");
  EXPECT_GE(get_some(canary_plan("zip"), 1'000'000).body.size(), 1'000'000U);
  *script.gate = true;
  settle();
}

TEST_F(CanaryFill, ALayerThatIsCutGoesOnAtTheNext) {
  const auto body = bytes(600'000);
  upstream("new").answers(cut_after(body, 300'000));
  auto rest = Script::body(body.substr(300'000));
  rest.status = 206;
  rest.headers.emplace_back("Content-Range", fmt::format("bytes 300000-{}/{}", body.size() - 1, body.size()));
  upstream("old").answers(std::move(rest));
  const auto got = get(with_digest("blob", body));
  EXPECT_FALSE(got.broken);
  EXPECT_EQ(got.body, body);
  EXPECT_EQ(upstreams_[1]->asked().at(0).offset, 300'000U);
}

TEST_F(CanaryFill, WrongBytesAreNotSeenAndTheObjectIsNotAskedOfItAgain) {
  class Refuses final : public Check {
    Result<void> check(const Slice& body) override {
      const auto* memory = std::get_if<MemorySlice>(&body);
      if (memory != nullptr && memory->bytes == "good") return {};
      return fail(ErrorCode::kCorrupt, "wrong");
    }
  };
  upstream("new").answers(Script::body("evil"));
  upstream("old").answers(Script::body("good"));
  auto checked = canary_plan("k");
  checked.check = std::make_shared<Refuses>();
  EXPECT_EQ(get(checked).body, "good");
  settle();
  EXPECT_EQ(told_, (Told{{0, false}, {1, true}}));
  store_->erase("k");
  upstreams_[1]->answers(Script::body("good"));
  EXPECT_EQ(get(checked).body, "good");
  EXPECT_EQ(upstreams_[0]->asked().size(), 1U);
}

TEST_F(CanaryFill, AHeadIsAskedOfTheNextToo) {
  upstream("new").answers(Script::code(503));
  upstream("old").answers(Script::body("good"));
  const auto head = run(cache_.ask_head(canary_plan("k")));
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(told_, (Told{{0, false}, {1, true}}));
}

TEST_F(CanaryFill, OneThatIsAloneIsBelieved) {
  upstream("new").answers(Script::code(404));
  EXPECT_EQ(get(canary_plan("k")).error->code, ErrorCode::kNotFound);
}

// Not of canaries: an upstream that is left alone for a while has failed, and the next one is asked.
TEST_F(CanaryFill, AnUpstreamThatIsNotAskedNowIsPassedOverWhereThePolicySaysAnyFailure) {
  upstream("a").answers(Script::error(ErrorCode::kUnavailable));
  upstream("b").answers(Script::body("x"));
  EXPECT_EQ(get(plan("k")).body, "x");
}

}  // namespace
}  // namespace cistern::cache
