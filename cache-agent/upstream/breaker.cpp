#include "cache-agent/upstream/breaker.hpp"

#include <algorithm>

namespace cistern::upstream {
namespace {

constexpr std::chrono::seconds kLongestHold{60};

std::chrono::seconds rounded_up(SteadyTime::duration duration) {
  return std::max(std::chrono::seconds(1), std::chrono::ceil<std::chrono::seconds>(duration));
}

}  // namespace

Breaker::Permit::~Permit() {
  if (probe_) breaker_->probe_dropped();
}

Result<Breaker::Permit> Breaker::enter(const config::Breaker& settings) {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.steady();
  if (now < held_until_) {
    const auto wait = rounded_up(held_until_ - now);
    return fail(Error{ErrorCode::kTooManyRequests, fmt::format("it asked to be left alone for another {} s", wait.count()), wait});
  }
  if (settings.failures == 0 || state_ == BreakerState::kClosed) return Permit(*this, false);
  if (now < open_until_ || probing_) {
    const auto wait = rounded_up(std::max<SteadyTime::duration>(open_until_ - now, std::chrono::seconds(1)));
    return fail(
        Error{ErrorCode::kUnavailable, fmt::format("left alone after {} failures in a row, the last: {}", failures_, last_error_), wait});
  }
  state_ = BreakerState::kHalfOpen;
  probing_ = true;
  return Permit(*this, true);
}

void Breaker::answered() {
  const std::lock_guard lock(mutex_);
  if (state_ != BreakerState::kHalfOpen) return;
  state_ = BreakerState::kClosed;
  probing_ = false;
  failures_ = 0;
}

void Breaker::success() {
  const std::lock_guard lock(mutex_);
  // An answer to somebody who asked before it opened says nothing about now.
  if (state_ == BreakerState::kClosed) failures_ = 0;
}

void Breaker::failure(const config::Breaker& settings, std::string reason) {
  const std::lock_guard lock(mutex_);
  ++failures_;
  last_error_ = std::move(reason);
  if (settings.failures == 0 || state_ == BreakerState::kOpen) return;
  if (state_ == BreakerState::kClosed && failures_ < settings.failures) return;
  state_ = BreakerState::kOpen;
  probing_ = false;
  open_until_ = clock_.steady() + settings.open_for;
}

void Breaker::probe_dropped() {
  const std::lock_guard lock(mutex_);
  if (state_ != BreakerState::kHalfOpen) return;
  state_ = BreakerState::kOpen;  // its time has passed: the next one probes
  probing_ = false;
}

void Breaker::hold(std::chrono::seconds duration) {
  const std::lock_guard lock(mutex_);
  held_until_ = std::max(held_until_, clock_.steady() + std::min(duration, kLongestHold));
}

bool Breaker::closed() const {
  const std::lock_guard lock(mutex_);
  return state_ == BreakerState::kClosed && clock_.steady() >= held_until_;
}

Health Breaker::health() const {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.steady();
  const bool cooled = state_ == BreakerState::kOpen && now >= open_until_;
  Health health;
  health.state = cooled ? BreakerState::kHalfOpen : state_;
  health.consecutive_failures = failures_;
  health.last_error = last_error_;
  health.refuses = now < held_until_ || (state_ == BreakerState::kOpen && !cooled) || probing_;
  return health;
}

}  // namespace cistern::upstream
