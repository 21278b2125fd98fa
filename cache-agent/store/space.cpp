#include "cache-agent/store/space.hpp"

#include <algorithm>
#include <chrono>

namespace cistern::store {

Space::Answer Space::reserve(std::uint64_t bytes, std::uint64_t used) {
  const std::lock_guard lock(mutex_);
  if (bytes > limits_.size.count || reserved_ + bytes > limits_.size.count) return {};
  std::uint64_t missing = 0;
  if (used + reserved_ + bytes > limits_.size.count) missing = used + reserved_ + bytes - limits_.size.count;
  if (const std::optional<std::int64_t> writable = this->writable()) {
    const std::int64_t left = *writable - static_cast<std::int64_t>(reserved_ - landed_) - static_cast<std::int64_t>(bytes);
    if (left < 0) missing = std::max(missing, static_cast<std::uint64_t>(-left));
  }
  if (missing > used) return {};
  if (missing > 0) return {false, missing};
  reserved_ += bytes;
  return {true, 0};
}

void Space::release(std::uint64_t bytes, std::uint64_t landed) {
  const std::lock_guard lock(mutex_);
  reserved_ -= bytes;
  landed_ -= landed;
}

void Space::land(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  landed_ += bytes;
  if (writable_) *writable_ -= static_cast<std::int64_t>(bytes);
}

void Space::freed(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (writable_) *writable_ += static_cast<std::int64_t>(bytes);
}

std::uint64_t Space::reserved() const {
  const std::lock_guard lock(mutex_);
  return reserved_;
}

std::optional<std::int64_t> Space::writable() {
  if (disk_ == nullptr) return std::nullopt;
  const SteadyTime now = clock_.steady();
  if (measured_ && now - *measured_ < std::chrono::seconds(1)) return writable_;
  measured_ = now;
  writable_.reset();
  if (const auto space = disk_->space(path_)) {
    writable_ = static_cast<std::int64_t>(space->free) - static_cast<std::int64_t>(space->total / 100 * limits_.min_free_percent);
  }
  return writable_;
}

}  // namespace cistern::store
