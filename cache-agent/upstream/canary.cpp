#include "cache-agent/upstream/canary.hpp"

#include <algorithm>
#include <vector>

namespace cistern::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr minutes kWindow{10};
constexpr std::size_t kMostSamples = 200;
constexpr std::size_t kFewest = 20;
constexpr unsigned kInARow = 5;
constexpr double kMoreFailures = 0.05;
constexpr int kTimesSlower = 2;
constexpr milliseconds kSlower{100};
constexpr minutes kFirstPause{10};
constexpr unsigned kMostDoublings = 6;  // more than six hours
constexpr std::chrono::hours kLongestPause{6};
constexpr minutes kTrial{30};

double share(const CanaryHealth::Side& side) {
  return side.asked == 0 ? 0 : static_cast<double>(side.failed) / static_cast<double>(side.asked);
}

}  // namespace

CanaryHealth::Side Canary::summary(const Samples& samples) {
  CanaryHealth::Side side;
  side.asked = samples.size();
  std::vector<std::chrono::microseconds> times;
  for (const auto& sample : samples) {
    if (!sample.ok) ++side.failed;
    if (sample.ok && sample.first_byte) times.push_back(*sample.first_byte);
  }
  if (times.empty()) return side;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  side.first_byte = std::chrono::ceil<milliseconds>(*middle);
  return side;
}

void Canary::forget_old(SteadyTime now) {
  for (auto* samples : {&canary_, &rest_}) {
    while (!samples->empty() && (samples->size() > kMostSamples || samples->front().at + kWindow < now)) samples->pop_front();
  }
}

bool Canary::admitted() {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.steady();
  if (state_ == State::kWithdrawn && now >= until_) begin_trial(now);
  return state_ != State::kWithdrawn;
}

void Canary::begin_trial(SteadyTime now) {
  state_ = State::kOnTrial;
  until_ = now + kTrial;
  objects_on_trial_ = 0;
  failures_in_a_row_ = 0;
  canary_.clear();
}

void Canary::record(Side side, const Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.steady();
  auto& samples = side == Side::kCanary ? canary_ : rest_;
  // What was asked for before it was withdrawn says nothing new.
  if (side == Side::kCanary && state_ == State::kWithdrawn) return;
  samples.push_back({now, outcome.ok, outcome.first_byte});
  forget_old(now);
  if (side == Side::kRest) return;
  failures_in_a_row_ = outcome.ok ? 0 : failures_in_a_row_ + 1;
  ++objects_on_trial_;
  if (auto reason = worse(); !reason.empty()) return withdraw(std::move(reason), now);
  if (state_ == State::kOnTrial && now >= until_ && objects_on_trial_ >= kFewest) {
    state_ = State::kActive;
    withdrawn_in_a_row_ = 0;
  }
}

// Why it is to be withdrawn; empty: it is not.
std::string Canary::worse() const {
  const auto canary = summary(canary_);
  const auto rest = summary(rest_);
  const auto failed = [](const CanaryHealth::Side& side) { return fmt::format("{} of {} objects failed", side.failed, side.asked); };
  if (failures_in_a_row_ >= kInARow && share(rest) < 0.5) {
    return fmt::format("{} failures in a row; with the other upstreams {}", failures_in_a_row_, failed(rest));
  }
  if (canary.asked < kFewest) return {};
  // Of few objects of the rest nothing follows; then only its own failures count.
  const double rest_share = rest.asked >= kFewest ? share(rest) : 0;
  if (share(canary) > rest_share + kMoreFailures) {
    return fmt::format("{}; with the other upstreams {}", failed(canary), failed(rest));
  }
  if (!canary.first_byte || !rest.first_byte || rest.asked - rest.failed < kFewest) return {};
  if (*canary.first_byte > kTimesSlower * *rest.first_byte && *canary.first_byte > *rest.first_byte + kSlower) {
    return fmt::format("first byte after {} ms; with the other upstreams after {} ms", canary.first_byte->count(),
                       rest.first_byte->count());
  }
  return {};
}

void Canary::withdraw(std::string reason, SteadyTime now) {
  canary_then_ = summary(canary_);
  rest_then_ = summary(rest_);
  reason_ = std::move(reason);
  state_ = State::kWithdrawn;
  ++withdrawals_;
  const auto pause = kFirstPause * (1U << std::min(withdrawn_in_a_row_++, kMostDoublings));
  until_ = now + std::min<std::chrono::seconds>(pause, kLongestPause);
}

CanaryHealth Canary::health() const {
  const std::lock_guard lock(mutex_);
  CanaryHealth health;
  health.state = state_;
  health.percent = percent_;
  health.withdrawals = withdrawals_;
  if (state_ == State::kWithdrawn) {
    health.canary = canary_then_;
    health.rest = rest_then_;
    health.reason = reason_;
    health.retry_in = std::max(std::chrono::seconds(0), std::chrono::ceil<std::chrono::seconds>(until_ - clock_.steady()));
  } else {
    health.canary = summary(canary_);
    health.rest = summary(rest_);
  }
  return health;
}

}  // namespace cistern::upstream
