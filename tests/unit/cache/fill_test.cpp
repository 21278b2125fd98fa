#include <gmock/gmock.h>

#include "tests/unit/cache/fixture.hpp"

namespace cistern::cache {
namespace {

// Not compressible into a pattern: a shifted piece would show.
std::string noise(std::size_t size) {
  std::string text(size, '\0');
  std::uint64_t state = 88172645463325252ULL;
  for (auto& c : text) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state);
  }
  return text;
}

Script cut_after(const std::string& body, std::size_t sent) {
  Script script;
  script.length = body.size();
  script.pieces.emplace_back(body.substr(0, sent));
  script.pieces.emplace_back(Error{ErrorCode::kUpstream, "cut", std::nullopt});
  return script;
}

Script rest_from(const std::string& body, std::size_t offset) {
  Script script;
  script.status = 206;
  script.headers.emplace_back("Content-Range", fmt::format("bytes {}-{}/{}", offset, body.size() - 1, body.size()));
  script.length = body.size() - offset;
  script.pieces.emplace_back(body.substr(offset));
  return script;
}

class FillTest : public CacheTest {
 protected:
  Plan blob_plan(const std::string& body) {
    auto blob = plan("blob");
    blob.digest = Sha256::of(std::string_view(body));
    blob.ranges_while_filling = true;
    return blob;
  }
  const std::string large_ = noise(1'000'000);
};

TEST_F(FillTest, ManyClientsShareOneFetch) {
  auto script = Script::body(large_);
  script.gate = std::make_shared<std::atomic<bool>>(false);
  upstream("a").answers(script);
  std::vector<std::future<Got>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(get_in_background(blob_plan(large_)));
  *script.gate = true;
  for (auto& client : clients) {
    const auto got = client.get();
    EXPECT_EQ(got.body, large_);
    EXPECT_FALSE(got.broken);
  }
  EXPECT_EQ(upstreams_[0]->asked().size(), 1U);
}

TEST_F(FillTest, ReadersFollowTheBytesAsTheyLand) {
  Script script;
  script.length = large_.size();
  script.pieces = {large_.substr(0, 500'000), large_.substr(500'000)};
  script.gate = std::make_shared<std::atomic<bool>>(false);
  script.free_pieces = 1;
  upstream("a").answers(script);
  EXPECT_EQ(get_some(blob_plan(large_), 500'000).body, large_.substr(0, 500'000)) << "while the rest has not been sent";
  *script.gate = true;
  settle();
  EXPECT_EQ(get(blob_plan(large_)).outcome, Outcome::kHit) << "the only client had left";
}

TEST_F(FillTest, TheEndIsHeldBackUntilTheDigestAgrees) {
  auto wrong = large_;
  wrong.back() ^= 1;
  upstream("a").answers(Script::body(wrong));
  auto blob = blob_plan(large_);
  const auto got = get(blob);
  EXPECT_LE(got.body.size(), large_.size() - 64 * 1024);
  EXPECT_TRUE(got.broken || got.error);
  EXPECT_EQ(upstreams_[0]->blamed(), 1U);
  EXPECT_EQ(observer_.failures, 1U);
  settle();
  EXPECT_FALSE(store_->find("blob"));
}

TEST_F(FillTest, AWrongSourceIsAskedLastNextTime) {
  auto wrong = large_;
  wrong.front() ^= 1;
  Script script;
  script.length = wrong.size();
  script.pieces = {wrong.substr(0, 500'000), wrong.substr(500'000)};
  script.gate = std::make_shared<std::atomic<bool>>(false);
  script.free_pieces = 1;
  upstream("a").answers(script);
  upstream("b").answers(Script::body(large_));
  get_some(blob_plan(large_), 1);  // its head is out: this fill can not begin anew
  *script.gate = true;
  settle();
  EXPECT_FALSE(store_->find("blob"));
  EXPECT_EQ(get(blob_plan(large_)).body, large_);
  EXPECT_EQ(upstreams_[0]->asked().size(), 1U);
}

TEST_F(FillTest, SmallWrongObjectIsNeverSeenAndTheNextSourceAsked) {
  upstream("a").answers(Script::body("evil"));
  upstream("b").answers(Script::body("good"));
  EXPECT_EQ(get(blob_plan("good")).body, "good");
  EXPECT_EQ(upstreams_[0]->blamed(), 1U);
}

TEST_F(FillTest, CutTransferGoesOnAtItsOffset) {
  upstream("a").answers(cut_after(large_, 300'000));
  upstreams_[0]->answers(rest_from(large_, 300'000));
  const auto got = get(blob_plan(large_));
  EXPECT_EQ(got.body, large_);
  EXPECT_FALSE(got.broken);
  EXPECT_EQ(upstreams_[0]->asked().at(1).offset, 300'000U);
}

TEST_F(FillTest, CutTransferGoesOnAtTheNextSource) {
  cache_.set_limits(Limits{std::chrono::seconds(30), 0});
  upstream("a").answers(cut_after(large_, 300'000));
  upstream("b").answers(rest_from(large_, 300'000));
  EXPECT_EQ(get(blob_plan(large_)).body, large_);
}

TEST_F(FillTest, SourceThatIgnoresTheOffsetHasItsPrefixSkipped) {
  upstream("a").answers(cut_after(large_, 300'000));
  upstreams_[0]->answers(Script::body(large_));
  EXPECT_EQ(get(blob_plan(large_)).body, large_);
}

TEST_F(FillTest, WrongContentRangeIsNotUsed) {
  cache_.set_limits(Limits{std::chrono::seconds(30), 1});
  upstream("a").answers(cut_after(large_, 300'000));
  upstreams_[0]->answers(rest_from(large_, 299'999));
  const auto got = get(blob_plan(large_));
  EXPECT_TRUE(got.broken);
  EXPECT_EQ(got.body, large_.substr(0, got.body.size()));
}

TEST_F(FillTest, WithoutADigestAChangedPrefixEndsTheAnswerShort) {
  upstream("a").answers(cut_after(large_, 300'000));
  auto other = large_;
  other[100] ^= 1;
  upstreams_[0]->answers(Script::body(other));
  const auto got = get(plan("zip"));
  EXPECT_TRUE(got.broken);
  EXPECT_LE(got.body.size(), 300'000U);
  settle();
  EXPECT_FALSE(store_->find("zip"));
}

TEST_F(FillTest, WithoutADigestAnEqualPrefixIsDropped) {
  upstream("a").answers(cut_after(large_, 300'000));
  upstreams_[0]->answers(Script::body(large_));
  EXPECT_EQ(get(plan("zip")).body, large_);
  EXPECT_EQ(upstreams_[0]->asked().at(1).offset, 0U);
}

TEST_F(FillTest, StrongETagLetsTheSameSourceGoOn) {
  auto first = cut_after(large_, 300'000);
  first.headers.emplace_back("ETag", "\"v1\"");
  upstream("a").answers(first);
  upstreams_[0]->answers(rest_from(large_, 300'000));
  EXPECT_EQ(get(plan("zip")).body, large_);
  EXPECT_EQ(upstreams_[0]->asked().at(1).headers.get("If-Range"), "\"v1\"");
}

TEST_F(FillTest, LastingCutEndsShortAndStoresNothing) {
  cache_.set_limits(Limits{std::chrono::seconds(30), 2});
  upstream("a").answers(cut_after(large_, 300'000));
  const auto got = get(blob_plan(large_));
  EXPECT_TRUE(got.broken);
  settle();
  EXPECT_FALSE(store_->find("blob"));
}

TEST_F(FillTest, RangeWhileFillingWaitsForItsBytes) {
  Script script;
  script.length = large_.size();
  script.pieces = {large_.substr(0, 600'000), large_.substr(600'000)};
  script.gate = std::make_shared<std::atomic<bool>>(false);
  script.free_pieces = 1;
  upstream("a").answers(script);
  const auto early = get(blob_plan(large_), ReadOptions{http::RangeRequest{100'000, 199'999}, false});
  EXPECT_EQ(early.body, large_.substr(100'000, 100'000));
  auto late = get_in_background(blob_plan(large_), ReadOptions{http::RangeRequest{900'000, std::nullopt}, false});
  *script.gate = true;
  EXPECT_EQ(late.get().body, large_.substr(900'000));
}

TEST_F(FillTest, TooLargeAnAnswerIsRefused) {
  upstream("a").answers(Script::body(large_));
  auto manifest = plan("m");
  manifest.max_size = 1000;
  EXPECT_EQ(get(manifest).error->code, ErrorCode::kUpstream);
}

struct ScriptedCheck final : Check {
  Result<void> prepared;
  Result<void> judged;
  Awaitable<Result<void>> prepare() override { co_return prepared; }
  Result<void> check(const Slice&) override { return judged; }
};

TEST_F(FillTest, NothingIsSentBeforeTheCheckIsPrepared) {
  upstream("a").answers(Script::body(large_));
  auto checked = plan("zip");
  auto check = std::make_shared<ScriptedCheck>();
  check->prepared = fail(ErrorCode::kForbidden, "unknown to the database");
  checked.check = check;
  const auto got = get(checked);
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, ErrorCode::kForbidden);
}

struct ThrowingCheck final : Check {
  Awaitable<Result<void>> prepare() override {
    throw std::runtime_error("thrown while preparing");
    co_return Result<void>{};
  }
  Result<void> check(const Slice&) override { return {}; }
};

TEST_F(FillTest, WhatThrowsEndsTheFillAndLeavesNobodyWaiting) {
  upstream("a").answers(Script::body(large_));
  auto checked = plan("zip");
  checked.check = std::make_shared<ThrowingCheck>();
  const auto got = get(checked);
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, ErrorCode::kInternal);
  settle();
  EXPECT_FALSE(store_->find("zip"));
}

TEST_F(FillTest, WhatTheCheckRefusesIsNotStored) {
  upstream("a").answers(Script::body(large_));
  auto checked = plan("zip");
  auto check = std::make_shared<ScriptedCheck>();
  check->judged = fail(ErrorCode::kCorrupt, "checksum mismatch");
  checked.check = check;
  const auto got = get(checked);
  EXPECT_TRUE(got.error || got.broken);
  settle();
  EXPECT_FALSE(store_->find("zip"));
  EXPECT_EQ(upstreams_[0]->blamed(), 1U);
}

TEST_F(FillTest, ObjectMadeFromAHeadNeedsNoGet) {
  Script script = Script::body("");
  script.headers.emplace_back("Docker-Content-Digest", "sha256:x");
  upstream("a").answers(script);
  auto tag = plan("tag");
  tag.from_head = [](const upstream::Head& head) -> Result<Made> {
    return Made{std::string(head.headers.get("Docker-Content-Digest")), "t/t"};
  };
  tag.from_body = [](const upstream::Head&, const std::string&) -> Result<Made> { return fail(ErrorCode::kInternal, "not asked"); };
  EXPECT_EQ(get(tag).body, "sha256:x");
  EXPECT_EQ(upstreams_[0]->asked().at(0).verb, upstream::Verb::kHead);
}

TEST_F(FillTest, HeadThatDoesNotTellIsFollowedByAGet) {
  upstream("a").answers(Script::body(""));
  upstreams_[0]->answers(Script::body("manifest"));
  auto tag = plan("tag");
  tag.from_head = [](const upstream::Head&) -> Result<Made> { return fail(ErrorCode::kInvalid, "no digest"); };
  tag.from_body = [](const upstream::Head&, const std::string& body) -> Result<Made> { return Made{"of " + body, ""}; };
  EXPECT_EQ(get(tag).body, "of manifest");
}

TEST_F(FillTest, PeerThatFailsIsPassedOver) {
  upstream("owner").answers(Script::error(ErrorCode::kTimeout));
  upstream("up").answers(Script::body("x"));
  auto shared = plan("k");
  shared.sources[0].peer = true;
  std::vector<bool> outcomes;
  shared.sources[0].outcome = [&](const upstream::Outcome& asked) { outcomes.push_back(asked.ok); };
  EXPECT_EQ(get(shared).body, "x");
  EXPECT_THAT(outcomes, testing::ElementsAre(false));
}

TEST_F(FillTest, OwnersAgeCountsAgainstTheTtl) {
  auto script = Script::body("x");
  script.headers.emplace_back("Age", "50");
  upstream("owner").answers(script);
  upstreams_[0]->answers(Script::body("y"));
  auto shared = plan("k");
  shared.sources[0].peer = true;
  shared.freshness.ttl = std::chrono::minutes(1);
  get(shared);
  settle();
  clock_.advance(std::chrono::seconds(11));
  EXPECT_EQ(get(shared).body, "y");
}

// A store that is full.
class FullStoreTest : public FillTest {
 protected:
  FullStoreTest() { upstream("a"); }
  // A fill ends after its readers; it must not outlive the cache and the store of this class.
  ~FullStoreTest() override {
    fills_.join();
    verification_.join();
  }
  std::unique_ptr<store::Store> full_ = store::make_memory_store(kib(100), clock_);
  Cache cache_{Cache::Parts{*full_, clock_, observer_, fills_, verification_}};
};

TEST_F(FullStoreTest, WhatCanNotBeStoredIsServed) {
  upstreams_[0]->answers(Script::body(large_));
  const auto got = run(read(cache_, blob_plan(large_), {}, SIZE_MAX));
  EXPECT_EQ(got.body, large_);
  EXPECT_FALSE(got.broken);
  EXPECT_FALSE(full_->find("blob"));
}

TEST_F(FullStoreTest, WithoutScratchSpaceAnArchiveIsNotServed) {
  upstreams_[0]->answers(Script::body(large_));
  auto zip = plan("zip");
  zip.needs_disk = true;
  EXPECT_EQ(run(read(cache_, zip, {}, SIZE_MAX)).error->code, ErrorCode::kNoSpace);
}

TEST_F(FullStoreTest, SlowReaderOfTheWindowIsDroppedAndOthersAreServed) {
  cache_.set_limits(Limits{std::chrono::milliseconds(100), 3});
  const auto body = noise(6'000'000);
  Script script;
  script.length = body.size();
  for (std::size_t at = 0; at < body.size(); at += 250'000) script.pieces.emplace_back(body.substr(at, 250'000));
  script.gate = std::make_shared<std::atomic<bool>>(false);
  upstreams_[0]->answers(script);
  asio::io_context slow_context(1);
  auto slow = asio::co_spawn(slow_context, cache_.fetch(blob_plan(body), {}), asio::use_future);
  auto fast = std::async(std::launch::async, [&] { return run(read(cache_, blob_plan(body), {}, SIZE_MAX)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  *script.gate = true;
  slow_context.run();  // it has its head, and reads no further
  ASSERT_TRUE(slow.get());
  EXPECT_EQ(fast.get().body, body);
}

}  // namespace
}  // namespace cistern::cache
