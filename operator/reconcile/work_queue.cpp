#include "operator/reconcile/work_queue.hpp"

#include <algorithm>

namespace cistern::reconcile {

WorkQueue::WorkQueue(const Clock& clock, QueueOptions options, QueueObserver* observer)
    : clock_(clock), options_(options), observer_(observer) {}

void WorkQueue::add(const std::string& item) {
  const std::lock_guard lock(mutex_);
  add_locked(item);
}

void WorkQueue::add_locked(const std::string& item) {
  if (stopped_ || !waiting_.emplace(item, clock_.steady()).second) return;
  if (observer_ != nullptr) observer_->added();
  if (working_.contains(item)) return;  // done() puts it in line
  ready_.push_back(item);
  if (observer_ != nullptr) observer_->depth(ready_.size());
  changed_.notify_one();
}

void WorkQueue::add_after(const std::string& item, milliseconds delay) {
  const std::lock_guard lock(mutex_);
  delay_locked(item, delay);
}

void WorkQueue::delay_locked(const std::string& item, milliseconds delay) {
  if (delay <= milliseconds(0)) return add_locked(item);
  if (stopped_) return;
  const auto at = clock_.steady() + delay;
  const auto [known, fresh] = delayed_until_.emplace(item, at);
  if (!fresh) {
    if (known->second <= at) return;
    delayed_.erase({known->second, item});
    known->second = at;
  }
  delayed_.emplace(at, item);
  changed_.notify_one();  // whoever waits may have to wake earlier
}

void WorkQueue::add_failed(const std::string& item) {
  const std::lock_guard lock(mutex_);
  const unsigned before = failures_[item]++;
  milliseconds pause = options_.first_pause;
  for (unsigned i = 0; i < before && pause < options_.longest_pause; ++i) pause *= 2;
  pause = std::min(pause, options_.longest_pause);
  const auto half = pause.count() / 2;
  pause = milliseconds(pause.count() - half + std::uniform_int_distribution<milliseconds::rep>(0, half)(random_));
  if (observer_ != nullptr) observer_->retried();
  delay_locked(item, pause);
}

void WorkQueue::forget(const std::string& item) {
  const std::lock_guard lock(mutex_);
  failures_.erase(item);
}

unsigned WorkQueue::failures(const std::string& item) const {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(item);
  return found == failures_.end() ? 0 : found->second;
}

std::optional<milliseconds> WorkQueue::collect_due() {
  const auto now = clock_.steady();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const std::string item = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    delayed_until_.erase(item);
    add_locked(item);
  }
  if (delayed_.empty()) return std::nullopt;
  return std::chrono::ceil<milliseconds>(delayed_.begin()->first - now);
}

std::optional<std::string> WorkQueue::take_locked() {
  if (stopped_ || ready_.empty()) return std::nullopt;
  std::string item = std::move(ready_.front());
  ready_.pop_front();
  const auto since = waiting_.find(item);
  if (observer_ != nullptr) {
    observer_->depth(ready_.size());
    observer_->waited(std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady() - since->second));
  }
  waiting_.erase(since);
  working_.insert(item);
  return item;
}

std::optional<std::string> WorkQueue::take() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopped_) return std::nullopt;
    const auto next = collect_due();
    if (auto item = take_locked()) {
      if (!ready_.empty()) changed_.notify_one();
      return item;
    }
    if (next) {
      changed_.wait_for(lock, *next);
    } else {
      changed_.wait(lock);
    }
  }
}

std::optional<std::string> WorkQueue::try_take() {
  const std::lock_guard lock(mutex_);
  collect_due();
  return take_locked();
}

void WorkQueue::done(const std::string& item) {
  const std::lock_guard lock(mutex_);
  working_.erase(item);
  if (stopped_ || !waiting_.contains(item)) return;
  ready_.push_back(item);
  if (observer_ != nullptr) observer_->depth(ready_.size());
  changed_.notify_one();
}

void WorkQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  ready_.clear();
  waiting_.clear();
  delayed_.clear();
  delayed_until_.clear();
  if (observer_ != nullptr) observer_->depth(0);
  changed_.notify_all();
}

bool WorkQueue::idle() const {
  const std::lock_guard lock(mutex_);
  return ready_.empty() && waiting_.empty() && working_.empty() && delayed_.empty();
}

std::size_t WorkQueue::depth() const {
  const std::lock_guard lock(mutex_);
  return ready_.size();
}

}  // namespace cistern::reconcile
