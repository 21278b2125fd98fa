#include <unistd.h>

#include "tests/unit/cache/fixture.hpp"

namespace cistern::cache {

namespace {

std::string bytes_of(const Slice& slice) {
  if (const auto* memory = std::get_if<MemorySlice>(&slice)) return std::string(memory->bytes);
  const auto& file = std::get<FileSlice>(slice);
  std::string bytes(file.length, '\0');
  EXPECT_EQ(::pread(file.file->descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(file.offset)),
            static_cast<ssize_t>(bytes.size()));
  return bytes;
}

}  // namespace

Awaitable<Got> CacheTest::read(Cache& cache, Plan plan, ReadOptions options, std::size_t enough) {
  Got got;
  auto found = cache.lookup(plan.key, plan.fill_key, plan.freshness, options);
  if (!found) found = co_await cache.fetch(std::move(plan), options);
  if (!*found) {
    got.error = found->error();
    co_return got;
  }
  auto& answer = **found;
  got.outcome = answer.outcome;
  got.size = answer.size;
  if (auto* slice = std::get_if<Slice>(&answer.body)) {
    got.body = bytes_of(*slice);
    co_return got;
  }
  auto& source = std::get<std::unique_ptr<BodySource>>(answer.body);
  while (got.body.size() < enough) {
    auto piece = co_await source->next();
    if (!piece) {
      got.broken = piece.error();
      break;
    }
    if (!*piece) break;
    got.body += bytes_of(**piece);
  }
  co_return got;
}

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TEST_F(CacheTest, SecondRequestIsAHit) {
  upstream("a").answers(Script::body("hello"));
  const auto first = get(plan("k"));
  EXPECT_EQ(first.body, "hello");
  EXPECT_EQ(first.outcome, Outcome::kMiss);
  settle();
  const auto second = get(plan("k"));
  EXPECT_EQ(second.body, "hello");
  EXPECT_EQ(second.outcome, Outcome::kHit);
  EXPECT_EQ(upstreams_[0]->asked().size(), 1U);
}

TEST_F(CacheTest, AnObjectPastItsTimeIsAskedForAgain) {
  upstream("a").answers(Script::body("old"));
  upstreams_[0]->answers(Script::body("new"));
  auto mutable_plan = plan("k");
  mutable_plan.freshness.ttl = minutes(1);
  get(mutable_plan);
  settle();
  clock_.advance(seconds(59));
  EXPECT_EQ(get(mutable_plan).outcome, Outcome::kHit);
  clock_.advance(seconds(2));
  const auto later = get(mutable_plan);
  EXPECT_EQ(later.body, "new");
  EXPECT_EQ(later.outcome, Outcome::kRevalidated);
}

TEST_F(CacheTest, StaleIsServedWhenTheUpstreamFailsUpToItsBound) {
  upstream("a").answers(Script::body("old"));
  auto mutable_plan = plan("k");
  mutable_plan.freshness.ttl = minutes(1);
  mutable_plan.freshness.stale_if_error = minutes(10);
  get(mutable_plan);
  settle();
  clock_.advance(minutes(5));
  upstreams_[0]->answers(Script::error(ErrorCode::kTimeout));
  const auto stale = get(mutable_plan);
  EXPECT_EQ(stale.body, "old");
  EXPECT_EQ(stale.outcome, Outcome::kStale);
  settle();
  clock_.advance(minutes(7));
  upstreams_[0]->answers(Script::error(ErrorCode::kTimeout));
  EXPECT_EQ(get(mutable_plan).error->code, ErrorCode::kTimeout);
}

TEST_F(CacheTest, NotFoundIsBelievedForItsTimeAndDropsTheOldCopy) {
  upstream("a").answers(Script::body("old"));
  auto mutable_plan = plan("k");
  mutable_plan.freshness.ttl = seconds(1);
  mutable_plan.freshness.negative = seconds(30);
  mutable_plan.freshness.stale_if_error = minutes(10);
  get(mutable_plan);
  settle();
  clock_.advance(seconds(2));
  upstreams_[0]->answers(Script::code(404));
  EXPECT_EQ(get(mutable_plan).error->code, ErrorCode::kNotFound);
  settle();
  EXPECT_EQ(get(mutable_plan).error->code, ErrorCode::kNotFound);
  EXPECT_EQ(upstreams_[0]->asked().size(), 2U);
  clock_.advance(seconds(31));
  upstreams_[0]->answers(Script::error(ErrorCode::kUpstream));
  EXPECT_EQ(get(mutable_plan).error->code, ErrorCode::kUpstream) << "what the origin has dropped is not served as stale";
}

TEST_F(CacheTest, RangesOfWhatIsStored) {
  upstream("a").answers(Script::body("0123456789"));
  get(plan("k"));
  settle();
  EXPECT_EQ(get(plan("k"), ReadOptions{http::RangeRequest{2, 4}, false}).body, "234");
  EXPECT_EQ(get(plan("k"), ReadOptions{http::RangeRequest{std::nullopt, 3}, false}).body, "789");
  EXPECT_EQ(get(plan("k"), ReadOptions{http::RangeRequest{20, std::nullopt}, false}).error->message, "bytes */10");
}

TEST_F(CacheTest, AskHeadFetchesNothing) {
  Script script = Script::body("");
  script.length = 5;
  upstream("a").answers(script);
  const auto head = run(cache_.ask_head(plan("k")));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->length, 5U);
  EXPECT_EQ(upstreams_[0]->asked().at(0).verb, upstream::Verb::kHead);
  EXPECT_FALSE(store_->find("k"));
}

TEST_F(CacheTest, RefusedHeadSaysThatAGetIsTheWay) {
  upstream("a").answers(Script::code(405));
  EXPECT_EQ(run(cache_.ask_head(plan("k"))).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace cistern::cache
