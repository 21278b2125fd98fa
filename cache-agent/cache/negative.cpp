#include "cache-agent/cache/negative.hpp"

namespace cistern::cache {

bool NegativeAnswers::empty() const { return size_.load(std::memory_order_relaxed) == 0; }

std::optional<Error> NegativeAnswers::find(std::string_view key) const {
  if (empty()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(std::string(key));
  if (found == entries_.end() || found->second.until <= clock_.steady()) return std::nullopt;
  return found->second.error;
}

void NegativeAnswers::put(const std::string& key, Error error, std::chrono::milliseconds ttl) {
  if (ttl.count() <= 0) return;
  const std::lock_guard lock(mutex_);
  const auto now = clock_.steady();
  if (entries_.size() >= kMost) std::erase_if(entries_, [&](const auto& entry) { return entry.second.until <= now; });
  if (entries_.size() >= kMost) entries_.clear();
  entries_.insert_or_assign(key, Entry{std::move(error), now + ttl});
  size_ = entries_.size();
}

void NegativeAnswers::forget(const std::string& key) {
  if (empty()) return;
  const std::lock_guard lock(mutex_);
  entries_.erase(key);
  size_ = entries_.size();
}

void NegativeAnswers::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  size_ = 0;
}

}  // namespace cistern::cache
