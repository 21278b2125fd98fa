#include "cache-agent/route/sumdb_source.hpp"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "cache-agent/cache/verdict.hpp"

namespace cistern::route {
namespace {

constexpr std::uint64_t kLargest = 1024 * 1024;
constexpr auto kBelieve = std::chrono::minutes(5);

Awaitable<Result<std::string>> get(std::shared_ptr<upstream::Upstream> upstream, std::string target) {
  upstream::Ask ask;
  ask.target = std::move(target);
  auto opened = co_await upstream->open(std::move(ask));
  if (!opened) co_return fail(opened.error());
  auto& transfer = **opened;
  if (transfer.head().status == 200) co_return co_await cache::read_all(transfer, kLargest);
  auto text = co_await cache::explanation(transfer);
  co_return fail(cache::error_of_status(upstream->name(), transfer.head(), std::move(text)));
}

}  // namespace

SumDbUpstreams::SumDbUpstreams(std::vector<Place> places, std::string key, store::Store& store, const Clock& clock, asio::thread_pool& disk)
    : places_(std::move(places)), key_(std::move(key)), store_(store), clock_(clock), disk_(asio::make_strand(disk)) {}

Awaitable<Result<std::string>> SumDbUpstreams::fetch(std::string path) {
  const auto chosen = co_await choose();
  if (!chosen) co_return fail(chosen.error());
  const Place& place = places_[*chosen];
  auto target = place.prefix + path;
  auto body = co_await get(place.upstream, std::move(target));
  if (!body && !cache::is_absent(body.error())) forget_choice(*chosen);
  co_return body;
}

Awaitable<Result<SumDbUpstreams::Place>> SumDbUpstreams::place() {
  const auto chosen = co_await choose();
  if (!chosen) co_return fail(chosen.error());
  co_return places_[*chosen];
}

// The first place that serves the database. One that fails is not taken for one that does not serve it, but the next may: a mirror that
// is down must not hide the database.
Awaitable<Result<std::size_t>> SumDbUpstreams::choose() {
  {
    const std::lock_guard lock(mutex_);
    if (chosen_ && clock_.steady() < chosen_until_) co_return *chosen_;
  }
  Error last{ErrorCode::kUpstream, "no upstream serves the checksum database; set sumDB.url", std::nullopt};
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].probe) {
      auto supported = co_await get(places_[i].upstream, places_[i].prefix + "/supported");
      if (!supported) {
        if (!cache::is_absent(supported.error())) last = supported.error();
        continue;
      }
    }
    const std::lock_guard lock(mutex_);
    chosen_ = i;
    chosen_until_ = clock_.steady() + kBelieve;
    co_return i;
  }
  co_return fail(last);
}

void SumDbUpstreams::forget_choice(std::size_t place) {
  const std::lock_guard lock(mutex_);
  if (chosen_ == place) chosen_.reset();
}

Awaitable<std::optional<std::string>> SumDbUpstreams::kept(std::string path) { co_return read(key_ + path); }

void SumDbUpstreams::keep(std::string path, std::string body) { put(key_ + path, std::move(body)); }

void SumDbUpstreams::keep_head(std::string note) { put(key_ + "/head", std::move(note)); }

std::string SumDbUpstreams::kept_head() { return read(key_ + "/head").value_or(std::string()); }

std::optional<std::string> SumDbUpstreams::read(const std::string& key) {
  const auto entry = store_.find(key);
  if (!entry || entry->size > kLargest) return std::nullopt;
  const auto slice = store_.open(*entry);
  if (!slice) return std::nullopt;
  if (const auto* memory = std::get_if<MemorySlice>(&*slice)) return std::string(memory->bytes);
  const auto& file = std::get<FileSlice>(*slice);
  std::string body(file.length, '\0');
  const auto got = ::pread(file.file->descriptor(), body.data(), body.size(), static_cast<off_t>(file.offset));
  if (got != static_cast<ssize_t>(body.size())) return std::nullopt;
  return body;
}

void SumDbUpstreams::put(std::string key, std::string body) {
  // Without `this`: a reload may end it before the disk's turn comes.
  asio::post(disk_, [&store = store_, now = clock_.wall(), key = std::move(key), body = std::move(body)] {
    const auto stored = store.put(body, store::KeyRecord{key, store::Meta{"text/plain; charset=utf-8", ""}, now});
    if (!stored) spdlog::warn("not kept: key={} error={}", key, stored.error().message);
  });
}

}  // namespace cistern::route
