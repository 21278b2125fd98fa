#include "cache-agent/cache/fill.hpp"

#include <algorithm>
#include <charconv>
#include <random>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <spdlog/spdlog.h>

#include "cache-agent/cache/verdict.hpp"

namespace cistern::cache {
namespace {

using std::chrono::milliseconds;

// Of what a canary sends, this much at most is held back until it is whole.
constexpr std::uint64_t kHeldOfCanary = 4 * 1024 * 1024;

milliseconds pause_after(unsigned failures) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto most = 50 << std::min(failures, 6U);
  return milliseconds(std::uniform_int_distribution<int>(most / 2, most)(random));
}

std::shared_ptr<const store::Meta> meta_of(const Plan& plan, const upstream::Head& head) {
  auto meta = std::make_shared<store::Meta>();
  meta->content_type = plan.content_type.empty() ? std::string(head.headers.get("Content-Type")) : plan.content_type;
  for (const auto& name : plan.keep_headers) {
    for (const auto& [field, value] : head.headers.all()) {
      if (http::equal_ignoring_case(field, name)) meta->headers += fmt::format("{}: {}\n", name, value);
    }
  }
  return meta;
}

std::chrono::seconds age_of(const upstream::Head& head) {
  const auto value = head.headers.get("Age");
  unsigned seconds = 0;
  std::from_chars(value.data(), value.data() + value.size(), seconds);
  return std::chrono::seconds(seconds);
}

}  // namespace

Fill::Fill(Cache& cache, Plan plan, Limits limits)
    : cache_(cache), plan_(std::move(plan)), limits_(limits), spool_(std::make_shared<Spool>(cache.parts_.store, plan_.needs_disk)) {}

FillProgress Fill::progress() const {
  const std::lock_guard lock(mutex_);
  return FillProgress{plan_.key, upstream_, spool_->size(), spool_->length()};
}

Awaitable<void> Fill::run(std::shared_ptr<Fill> self) {
  Fill& fill = *self;
  const auto executor = co_await asio::this_coro::executor;
  fill.prepared_wake_.emplace(executor);
  if (fill.plan_.check) {
    asio::co_spawn(executor, prepare(self), asio::detached);
  } else {
    fill.prepared_ = Result<void>{};
  }
  // Whatever happens, readers are told and the next request may start a fill of its own.
  Result<void> result;
  try {
    result = co_await fill.from_sources();
    if (result) {
      fill.spool_->complete();
      fill.store();
    }
  } catch (const std::exception& exception) {
    result = fail(ErrorCode::kInternal, "{}: {}", fill.plan_.key, exception.what());
  }
  if (!result) {
    fill.remember(result.error());
    fill.spool_->abandon(result.error());
  }
  fill.cache_.finished(self);
}

// What everybody has already been given, for the next who ask.
void Fill::store() {
  if (!plan_.store) return;
  const auto stored = spool_->commit(store::KeyRecord{plan_.key, *meta_, fetched_});
  if (!stored) spdlog::warn("not stored: key={} error={}", plan_.key, stored.error().message);
}

void Fill::remember(const Error& error) {
  if (!is_absent(error)) return;
  cache_.negative_.put(plan_.fill_key, error, plan_.freshness.negative);
  // What the origin no longer has is not served as stale later.
  if (plan_.store && plan_.freshness.ttl) cache_.parts_.store.erase(plan_.key);
}

Awaitable<void> Fill::prepare(std::shared_ptr<Fill> self) {
  Result<void> result;
  try {
    result = co_await self->plan_.check->prepare();
  } catch (const std::exception& exception) {
    result = fail(ErrorCode::kInternal, "{}: {}", self->plan_.key, exception.what());
  }
  const bool good = result.has_value();
  {
    const std::lock_guard lock(self->mutex_);
    self->prepared_ = std::move(result);
  }
  if (good) self->show_if_ready();
  self->prepared_wake_->notify();
}

void Fill::show_if_ready() {
  const std::lock_guard lock(mutex_);
  if (!held_ && prepared_ && *prepared_) spool_->release();
}

void Fill::hold(bool held) {
  {
    const std::lock_guard lock(mutex_);
    held_ = held;
  }
  show_if_ready();
}

std::optional<Error> Fill::preparation_failed() const {
  const std::lock_guard lock(mutex_);
  if (!prepared_ || *prepared_) return std::nullopt;
  return prepared_->error();
}

Awaitable<Result<void>> Fill::preparation() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (prepared_) co_return *prepared_;
    }
    co_await prepared_wake_->wait();
  }
}

Awaitable<Result<void>> Fill::from_sources() {
  std::vector<Error> errors;
  std::optional<Error> of_canary;
  std::optional<Source> without;  // a canary that said it does not have it
  const auto sources = cache_.in_order(plan_);
  auto canaries = std::count_if(sources.begin(), sources.end(), [](const Source& source) { return source.canary; });
  for (const auto& source : sources) {
    {
      const std::lock_guard lock(mutex_);
      upstream_ = source.upstream->name();
    }
    hold(canaries > 0 && !plan_.digest);
    if (source.canary) --canaries;
    auto result = co_await from_source(source);
    if (without && (result || is_absent(result.error()))) std::exchange(without, std::nullopt)->tell(!result);
    if (result) co_return result;
    const Error& error = result.error();
    if (error.code == ErrorCode::kCancelled || unjudgeable_) co_return result;
    if (preparation_failed()) co_return result;
    // Readers have a part of it: only a right part of an object whose digest is known can go on at another source; or one that a canary
    // has begun, if the other source's is the same.
    const bool wrong = error.code == ErrorCode::kCorrupt;
    if ((wrong || !plan_.digest) && !spool_->restart()) {
      if (wrong || !source.canary) co_return result;
      etag_.clear();
    }
    if (source.canary) {
      of_canary = error;
      if (is_absent(error)) without = source;
    } else if (!source.peer || is_absent(error)) {
      errors.push_back(error);
    }
    if (!may_ask_next(source, error)) break;
  }
  if (errors.empty()) co_return fail(of_canary.value_or(Error{ErrorCode::kUpstream, "no upstream could be asked", std::nullopt}));
  co_return fail(verdict(errors));
}

// Asks one source until the object is whole and right, or it makes no sense to ask this one again.
Awaitable<Result<void>> Fill::from_source(Source source) {
  unsigned failures = 0;
  for (;;) {
    const auto before = spool_->size();
    Attempt attempted;
    if (plan_.from_body) {
      attempted = co_await made_from_answer(source);
    } else {
      attempted = co_await attempt(source);
    }
    if (attempted) {
      auto judged = co_await judge(source);
      const bool of_source = judged || judged.error().code == ErrorCode::kCorrupt;
      if (of_source || source.peer) source.tell(judged.has_value(), first_byte_);
      co_return judged;
    }
    const auto& ended = attempted.error();
    const bool absent = !ended.cut && is_absent(ended.error);
    const bool limited = !ended.cut && ended.error.code == ErrorCode::kTooManyRequests;
    failures = spool_->size() > before ? 1 : failures + 1;
    if (!ended.cut || source.canary || failures > limits_.resumes || (source.peer && failures > 1)) {
      const bool of_source = ended.error.code != ErrorCode::kCancelled && !unjudgeable_ && !preparation_failed();
      const bool open_question = source.canary && absent;  // until others have been asked
      if (source.peer || (of_source && !open_question)) source.tell(absent || (limited && source.peer));
      co_return fail(ended.error);
    }
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, pause_after(failures));
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

Awaitable<Result<std::unique_ptr<upstream::Transfer>>> Fill::open(Source source, upstream::Ask ask) {
  const auto begun = cache_.parts_.clock.steady();
  auto opened = co_await source.upstream->open(std::move(ask));
  first_byte_ = std::chrono::duration_cast<std::chrono::microseconds>(cache_.parts_.clock.steady() - begun);
  co_return opened;
}

Awaitable<Fill::Attempt> Fill::attempt(Source source) {
  // What has landed is kept only if it can be gone on with: its digest tells in the end, or readers depend on it.
  if (!plan_.digest) spool_->restart();
  const auto have = spool_->size();
  upstream::Ask ask = source.ask;
  const bool goes_on = have > 0 && (plan_.digest || !etag_.empty());
  if (goes_on) ask.offset = have;
  if (goes_on && !plan_.digest) ask.headers.set("If-Range", etag_);
  auto opened = co_await open(source, std::move(ask));
  if (!opened) co_return tl::unexpected(Ended{opened.error(), false});
  auto transfer = std::move(*opened);
  const auto status = transfer->head().status;
  if (status != 200 && !(status == 206 && goes_on)) {
    auto text = co_await explanation(*transfer);
    co_return tl::unexpected(Ended{error_of_status(source.upstream->name(), transfer->head(), std::move(text)), false});
  }
  auto skip = accept(source, transfer->head(), have);
  if (!skip) co_return tl::unexpected(Ended{skip.error(), false});
  co_return co_await receive(std::move(transfer), *skip);
}

Result<std::uint64_t> Fill::accept(const Source& source, const upstream::Head& head, std::uint64_t have) {
  if (head.length && head.status == 200 && *head.length > plan_.max_size) {
    return fail(ErrorCode::kUpstream, "{} answers with {} bytes; the limit is {}", source.upstream->name(), *head.length, plan_.max_size);
  }
  if (have == 0) {
    meta_ = meta_of(plan_, head);
    age_ = source.peer ? age_of(head) : std::chrono::seconds(0);
    fetched_ = cache_.parts_.clock.wall() - age_;
    const auto etag = head.headers.get("ETag");
    etag_ = etag.starts_with('"') ? std::string(etag) : std::string();
    spool_->begin(head.length, meta_, age_);
    return 0;
  }
  if (head.status == 200) return have;
  if (content_range_start(head.headers.get("Content-Range")) != have) {
    return fail(ErrorCode::kUpstream, "{} was asked to go on at byte {} and answers with another range", source.upstream->name(), have);
  }
  return 0;
}

// Takes the body; the first `skip` bytes have landed before and must be the same.
Awaitable<Fill::Attempt> Fill::receive(std::unique_ptr<upstream::Transfer> transfer, std::uint64_t skip) {
  Sha256 prefix;
  for (;;) {
    auto chunk = co_await transfer->read();
    if (!chunk) co_return tl::unexpected(Ended{chunk.error(), chunk.error().code != ErrorCode::kCancelled});
    if (chunk->empty()) break;
    if (skip > 0) {
      const auto known = std::min<std::uint64_t>(skip, chunk->size());
      prefix.update(std::string_view(*chunk).substr(0, known));
      chunk->erase(0, known);
      skip -= known;
      if (skip == 0 && prefix.digest() != spool_->digest()) {
        co_return tl::unexpected(Ended{Error{ErrorCode::kUpstream, "the answer changed between two requests", std::nullopt}, false});
      }
    }
    if (spool_->size() + chunk->size() > plan_.max_size) {
      co_return tl::unexpected(
          Ended{Error{ErrorCode::kUpstream, fmt::format("the answer is larger than the limit of {} bytes", plan_.max_size), std::nullopt},
                false});
    }
    if (auto appended = co_await spool_->append(std::move(*chunk), limits_.idle); !appended) {
      unjudgeable_ = appended.error().code == ErrorCode::kUnavailable;
      co_return tl::unexpected(Ended{appended.error(), false});
    }
    if (held_ && spool_->size() > kHeldOfCanary) hold(false);  // nobody else sets it
    if (auto error = preparation_failed()) co_return tl::unexpected(Ended{*error, false});
  }
  const auto length = spool_->length();
  if (skip > 0 || (length && spool_->size() != *length)) {
    co_return tl::unexpected(Ended{Error{ErrorCode::kUpstream, "the answer ended too early", std::nullopt}, true});
  }
  co_return Attempt{};
}

Awaitable<Fill::Attempt> Fill::made_from_answer(Source source) {
  for (const auto verb : {upstream::Verb::kHead, upstream::Verb::kGet}) {
    if (verb == upstream::Verb::kHead && !plan_.from_head) continue;
    auto ask = source.ask;
    ask.verb = verb;
    auto opened = co_await open(source, std::move(ask));
    if (!opened) co_return tl::unexpected(Ended{opened.error(), false});
    auto transfer = std::move(*opened);
    const upstream::Head& head = transfer->head();
    if (head.status != 200) {
      const bool refused = verb == upstream::Verb::kHead && (head.status == 400 || head.status == 405 || head.status == 501);
      if (refused) continue;
      auto text = co_await explanation(*transfer);
      co_return tl::unexpected(Ended{error_of_status(source.upstream->name(), head, std::move(text)), false});
    }
    Result<Made> made = Made{};
    if (verb == upstream::Verb::kHead) {
      made = plan_.from_head(head);
      if (!made) continue;
    } else {
      auto body = co_await read_all(*transfer, plan_.max_size);
      if (!body) co_return tl::unexpected(Ended{body.error(), true});
      made = plan_.from_body(head, std::move(*body));
      if (!made) co_return tl::unexpected(Ended{made.error(), false});
    }
    if (auto skip = accept(source, head, 0); !skip) co_return tl::unexpected(Ended{skip.error(), false});
    if (!made->content_type.empty()) meta_ = std::make_shared<store::Meta>(store::Meta{made->content_type, meta_->headers});
    spool_->begin(made->body.size(), meta_, age_);
    if (auto appended = co_await spool_->append(std::move(made->body), limits_.idle); !appended) {
      co_return tl::unexpected(Ended{appended.error(), false});
    }
    co_return Attempt{};
  }
  co_return tl::unexpected(Ended{Error{ErrorCode::kUpstream, "no usable answer", std::nullopt}, false});
}

// The digest, then the check. What is wrong is blamed on the source, which is asked last next time.
Awaitable<Result<void>> Fill::judge(Source source) {
  if (plan_.digest && spool_->digest() != *plan_.digest) {
    cache_.parts_.observer.verification_failed("digest");
    source.upstream->blame("wrong digest");
    cache_.suspect(plan_.fill_key, source.upstream->name());
    co_return fail(ErrorCode::kCorrupt, "{} sent bytes that are not {}", source.upstream->name(), plan_.digest->oci());
  }
  if (!plan_.check) co_return Result<void>{};
  if (auto prepared = co_await preparation(); !prepared) co_return prepared;
  const auto body = spool_->whole();
  unjudgeable_ = !body;
  if (!body) co_return fail(ErrorCode::kUnavailable, "no scratch space to verify {}", plan_.key);
  auto check = [check = plan_.check, slice = *body] { return check->check(slice); };
  auto checked = co_await run_on(cache_.parts_.verification, std::move(check));
  if (!checked && checked.error().code == ErrorCode::kCorrupt) {
    cache_.parts_.observer.verification_failed("checksum");
    source.upstream->blame("wrong checksum");
    cache_.suspect(plan_.fill_key, source.upstream->name());
  }
  co_return checked;
}

}  // namespace cistern::cache
