#include "cache-agent/observe/request_counters.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

namespace cistern::observe {
namespace {

// Labels are sets known beforehand, so that nothing a client sends can make a new time series. The last of each stands for all others.
constexpr std::array<std::string_view, 4> kEcosystems = {"", "go", "oci", "other"};
constexpr std::array<std::string_view, 9> kResults = {"", "hit", "miss", "stale", "revalidated", "bypass", "denied", "error", "other"};
constexpr std::array<unsigned, 24> kCodes = {200, 206, 301, 302, 304, 307, 400, 401, 403, 404, 405, 408,
                                             410, 412, 416, 421, 429, 431, 500, 501, 502, 503, 504, 0};
constexpr std::size_t kStale = 3;
static_assert(kResults[kStale] == "stale");

constexpr std::array<std::chrono::microseconds, 8> kBuckets = {std::chrono::microseconds(500),       std::chrono::microseconds(2'500),
                                                               std::chrono::microseconds(10'000),    std::chrono::microseconds(50'000),
                                                               std::chrono::microseconds(250'000),   std::chrono::microseconds(1'000'000),
                                                               std::chrono::microseconds(5'000'000), std::chrono::microseconds(30'000'000)};

constexpr auto kCodeIndex = [] {
  std::array<std::uint8_t, 600> index{};
  index.fill(kCodes.size() - 1);
  for (std::size_t i = 0; i + 1 < kCodes.size(); ++i) index[kCodes[i]] = static_cast<std::uint8_t>(i);
  return index;
}();

template <std::size_t N>
std::size_t index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i + 1 < N; ++i) {
    if (names[i] == name) return i;
  }
  return N - 1;
}

// Threads take shards in turn, once.
std::size_t shard_of_thread(std::size_t shards) {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine % shards;
}

prometheus::ClientMetric counter(double value) {
  prometheus::ClientMetric metric;
  metric.counter.value = value;
  return metric;
}

}  // namespace

using Count = std::atomic<std::uint64_t>;

struct alignas(64) RequestCounters::Shard {
  std::array<std::array<std::array<Count, kCodes.size()>, kResults.size()>, kEcosystems.size()> requests{};
  std::array<Count, kBuckets.size() + 1> durations{};
  Count duration_sum{0};  // microseconds
  Count sent_bytes{0};
};

RequestCounters::RequestCounters() : shards_(std::make_unique<std::array<Shard, kShards>>()) {}
RequestCounters::~RequestCounters() = default;

void RequestCounters::count(const http::Annotation& annotation, unsigned status, std::chrono::microseconds duration,
                            std::uint64_t sent_bytes) {
  auto& shard = (*shards_)[shard_of_thread(kShards)];
  const auto ecosystem = index_of(kEcosystems, annotation.ecosystem);
  const auto result = index_of(kResults, annotation.result);
  const auto code = kCodeIndex[std::min<std::size_t>(status, kCodeIndex.size() - 1)];
  const auto bucket = std::lower_bound(kBuckets.begin(), kBuckets.end(), duration) - kBuckets.begin();
  const auto add = [](Count& count, std::uint64_t value) { count.fetch_add(value, std::memory_order_relaxed); };
  add(shard.requests[ecosystem][result][code], 1);
  add(shard.durations[static_cast<std::size_t>(bucket)], 1);
  add(shard.duration_sum, static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count())));
  // What has no ecosystem is about the agent itself (health, these numbers): who asks is no client, and asks for ever.
  add(shard.sent_bytes, *annotation.ecosystem == '\0' ? 0 : sent_bytes);
}

std::vector<prometheus::MetricFamily> RequestCounters::collect() const {
  using prometheus::MetricType;
  const auto sum = [&](const auto& member) {
    std::uint64_t total = 0;
    for (const auto& shard : *shards_) total += member(shard).load(std::memory_order_relaxed);
    return total;
  };
  prometheus::MetricFamily requests{
      "cistern_requests_total", "Requests answered, by ecosystem, result and status code.", MetricType::Counter, {}};
  std::uint64_t stale = 0;
  for (std::size_t e = 0; e < kEcosystems.size(); ++e) {
    for (std::size_t r = 0; r < kResults.size(); ++r) {
      for (std::size_t c = 0; c < kCodes.size(); ++c) {
        const auto total = sum([&](const Shard& shard) -> const Count& { return shard.requests[e][r][c]; });
        if (total == 0) continue;
        if (r == kStale) stale += total;
        auto metric = counter(static_cast<double>(total));
        metric.label = {{"ecosystem", std::string(kEcosystems[e])},
                        {"result", std::string(kResults[r])},
                        {"code", kCodes[c] == 0 ? "other" : std::to_string(kCodes[c])}};
        requests.metric.push_back(std::move(metric));
      }
    }
  }

  prometheus::ClientMetric durations;
  for (std::size_t b = 0; b <= kBuckets.size(); ++b) {
    durations.histogram.sample_count += sum([&](const Shard& shard) -> const Count& { return shard.durations[b]; });
    const auto bound = b < kBuckets.size() ? std::chrono::duration<double>(kBuckets[b]).count() : std::numeric_limits<double>::infinity();
    durations.histogram.bucket.push_back({durations.histogram.sample_count, bound});
  }
  durations.histogram.sample_sum = static_cast<double>(sum([](const Shard& shard) -> const Count& { return shard.duration_sum; })) / 1e6;
  const auto sent = sum([](const Shard& shard) -> const Count& { return shard.sent_bytes; });
  return {
      std::move(requests),
      {"cistern_request_duration_seconds",
       "From a request's last header byte to its response's last byte.",
       MetricType::Histogram,
       {std::move(durations)}},
      {"cistern_sent_bytes_total", "Bytes of bodies sent to clients and peers.", MetricType::Counter, {counter(static_cast<double>(sent))}},
      {"cistern_stale_answers_total",
       "Answers past their time, given because the upstream failed.",
       MetricType::Counter,
       {counter(static_cast<double>(stale))}}};
}

}  // namespace cistern::observe
