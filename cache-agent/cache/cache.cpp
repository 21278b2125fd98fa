#include "cache-agent/cache/cache.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>

#include "cache-agent/cache/fill.hpp"
#include "cache-agent/cache/verdict.hpp"

namespace cistern::cache {

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kHit: return "hit";
    case Outcome::kMiss: return "miss";
    case Outcome::kStale: return "stale";
    case Outcome::kRevalidated: return "revalidated";
  }
  return "";
}

Cache::Cache(Parts parts) : parts_(parts), negative_(parts.clock) {}

Cache::~Cache() = default;

void Cache::set_limits(Limits limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

void Cache::forget_negative() { negative_.clear(); }

std::optional<Result<Answer>> Cache::lookup(std::string_view key, std::string_view fill_key, const Freshness& freshness,
                                            const ReadOptions& options) {
  if (const auto entry = parts_.store.find(key)) {
    const auto age = parts_.clock.wall() - entry->fetched;
    if (!freshness.ttl || age < *freshness.ttl) return open_entry(*entry, Outcome::kHit, options);
  }
  if (auto absent = negative_.find(fill_key.empty() ? key : fill_key)) return fail(std::move(*absent));
  return std::nullopt;
}

std::optional<Result<Answer>> Cache::stored(std::string_view key, const ReadOptions& options) {
  const auto entry = parts_.store.find(key);
  if (!entry) return std::nullopt;
  return open_entry(*entry, Outcome::kHit, options);
}

// Empty where the bytes are gone after all: a miss.
std::optional<Result<Answer>> Cache::open_entry(const store::Entry& entry, Outcome outcome, const ReadOptions& options) {
  auto body = parts_.store.open(entry);
  if (!body) return std::nullopt;
  Answer answer;
  answer.outcome = outcome;
  answer.meta = entry.meta;
  answer.digest = entry.digest;
  answer.size = entry.size;
  answer.age = std::max(std::chrono::seconds(0), parts_.clock.wall() - entry.fetched);
  if (options.range) {
    http::ByteRange range;
    switch (http::resolve_range(*options.range, entry.size, range)) {
      case http::RangeKind::kUnsatisfiable: return fail(range_not_satisfiable(entry.size));
      case http::RangeKind::kSatisfiable:
        answer.range = range;
        *body = part_of(*body, range.offset, range.length);
        break;
      case http::RangeKind::kNone: break;
    }
  }
  answer.body = std::move(*body);
  return answer;
}

Awaitable<Result<Answer>> Cache::fetch(Plan plan, ReadOptions options) {
  const auto before = parts_.store.find(plan.key);
  const auto key = plan.key;
  const auto freshness = plan.freshness;
  const bool ranges = plan.ranges_while_filling;
  const auto wanted = std::exchange(options.range, ranges ? options.range : std::nullopt);

  const auto executor = co_await asio::this_coro::executor;
  auto reader = join_or_start(std::move(plan), executor);
  auto opened = co_await reader->open(options);
  if (!opened) {
    const auto age = before ? parts_.clock.wall() - before->fetched : std::chrono::seconds(0);
    const bool usable = before && freshness.ttl && age < *freshness.ttl + freshness.stale_if_error;
    if (usable && stale_is_better(opened.error())) {
      options.range = wanted;
      if (auto stale = open_entry(*before, Outcome::kStale, options)) co_return std::move(*stale);
    }
    co_return fail(opened.error());
  }
  Answer answer;
  answer.outcome = before && freshness.ttl ? Outcome::kRevalidated : Outcome::kMiss;
  answer.meta = opened->meta;
  answer.size = opened->length;
  answer.range = opened->range;
  answer.age = opened->age;
  if (opened->whole) {
    if (wanted && !ranges && opened->length) {
      http::ByteRange range;
      const auto kind = http::resolve_range(*wanted, *opened->length, range);
      if (kind == http::RangeKind::kUnsatisfiable) co_return fail(range_not_satisfiable(*opened->length));
      if (kind == http::RangeKind::kSatisfiable) {
        answer.range = range;
        *opened->whole = part_of(*opened->whole, range.offset, range.length);
      }
    }
    answer.body = std::move(*opened->whole);
  } else {
    answer.body = std::unique_ptr<BodySource>(std::move(reader));
  }
  co_return answer;
}

Awaitable<Result<upstream::Head>> Cache::ask_head(Plan plan) {
  std::vector<Error> errors;
  std::optional<Error> of_canary;
  for (const auto& source : in_order(plan)) {
    auto ask = source.ask;
    ask.verb = upstream::Verb::kHead;
    auto opened = co_await source.upstream->open(std::move(ask));
    const auto status = opened ? (*opened)->head().status : 0U;
    if (source.peer) source.tell(opened && status < 500 && status != 421);
    if (opened && status == 200 && !source.peer) source.tell(true);
    if (opened && status == 200) co_return (*opened)->head();
    auto error = opened ? error_of_status(source.upstream->name(), (*opened)->head(), std::string()) : opened.error();
    const bool refused = status == 400 || status == 405 || status == 501;
    if (!source.peer && !refused && !is_absent(error) && error.code != ErrorCode::kCancelled) source.tell(false);
    if (refused && !source.peer) co_return fail(ErrorCode::kInvalid, "{} refuses HEAD", source.upstream->name());
    if (source.canary) {
      of_canary = error;
    } else if (!source.peer || is_absent(error)) {
      errors.push_back(error);
    }
    if (!may_ask_next(source, error)) break;
  }
  if (errors.empty()) co_return fail(of_canary.value_or(Error{ErrorCode::kUpstream, "no upstream could be asked", std::nullopt}));
  co_return fail(verdict(errors));
}

std::unique_ptr<SpoolReader> Cache::join_or_start(Plan plan, const asio::any_io_executor& executor) {
  if (plan.fill_key.empty()) plan.fill_key = plan.key;
  std::shared_ptr<Fill> fill;
  std::unique_ptr<SpoolReader> reader;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = fills_[plan.fill_key];
    if (slot && slot->joinable()) return slot->reader(executor);
    fill = slot = std::make_shared<Fill>(*this, std::move(plan), limits_);
    reader = fill->reader(executor);
  }
  asio::co_spawn(asio::make_strand(parts_.fills), Fill::run(fill), asio::detached);
  return reader;
}

void Cache::finished(const std::shared_ptr<Fill>& fill) {
  const std::lock_guard lock(mutex_);
  const auto found = fills_.find(fill->name());
  if (found != fills_.end() && found->second == fill) fills_.erase(found);
}

void Cache::suspect(const std::string& fill_key, const std::string& upstream) {
  const std::lock_guard lock(mutex_);
  if (suspects_.size() >= kMostSuspects) suspects_.clear();
  suspects_[fill_key].insert(upstream);
}

// The plan's order, but a source that sent this very object wrong goes last, where the policy allows another to be asked at all.
std::vector<Source> Cache::in_order(const Plan& plan) {
  auto sources = plan.sources;
  const std::lock_guard lock(mutex_);
  const auto found = suspects_.find(plan.fill_key.empty() ? plan.key : plan.fill_key);
  if (found == suspects_.end()) return sources;
  const auto trusted = [&](const Source& source) { return !found->second.contains(source.upstream->name()); };
  const bool free_order = std::all_of(sources.begin(), sources.end(),
                                      [](const Source& source) { return source.peer || source.fallback == config::Fallback::kAny; });
  if (free_order) {
    std::stable_partition(sources.begin(), sources.end(), trusted);
  } else {
    // A peer may always be passed over, and a canary.
    std::erase_if(sources, [&](const Source& source) { return (source.peer || source.canary) && !trusted(source); });
  }
  return sources;
}

std::vector<FillProgress> Cache::fills() const {
  const std::lock_guard lock(mutex_);
  std::vector<FillProgress> all;
  all.reserve(fills_.size());
  for (const auto& [key, fill] : fills_) all.push_back(fill->progress());
  return all;
}

std::size_t Cache::fills_in_flight() const {
  const std::lock_guard lock(mutex_);
  return fills_.size();
}

Error range_not_satisfiable(std::uint64_t size) { return Error{ErrorCode::kInvalid, fmt::format("bytes */{}", size), std::nullopt}; }

}  // namespace cistern::cache
