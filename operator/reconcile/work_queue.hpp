// What is to be looked at next: names of things, each at most once, each by one worker at a time. A name that is added while it is worked
// on is given out again afterwards, so that the last change is never missed.
//
// Source of the rules: client-go's util/workqueue.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.hpp"

namespace cistern::reconcile {

using std::chrono::milliseconds;

// Told about every step; called with the queue's lock held, so it must not call back.
class QueueObserver {
 public:
  virtual ~QueueObserver() = default;
  virtual void depth(std::size_t items) = 0;
  virtual void added() = 0;
  virtual void retried() = 0;
  virtual void waited(std::chrono::microseconds duration) = 0;  // from add to take
};

struct QueueOptions {
  milliseconds first_pause{5};  // after a failure; doubled with each further one, up to …
  milliseconds longest_pause{60000};
};

// Thread-safe.
class WorkQueue {
 public:
  // `clock` and `observer` (may be null) outlive it.
  explicit WorkQueue(const Clock& clock, QueueOptions options = {}, QueueObserver* observer = nullptr);

  void add(const std::string& item);
  // Not before `delay`; of several, the earliest counts.
  void add_after(const std::string& item, milliseconds delay);
  // After a pause that grows with the failures of this item since forget(), half of it random, so that what failed together is not tried
  // together.
  void add_failed(const std::string& item);
  void forget(const std::string& item);
  unsigned failures(const std::string& item) const;

  // Blocks until there is something; empty after stop(). Each item taken must be given to done().
  std::optional<std::string> take();
  // Empty if there is nothing now.
  std::optional<std::string> try_take();
  void done(const std::string& item);

  // Nothing is given out any more; workers that wait are let go.
  void stop();
  // Whether nothing waits, is worked on, or is delayed.
  bool idle() const;
  // Items that wait now, without those that are delayed or worked on.
  std::size_t depth() const;

 private:
  void add_locked(const std::string& item);
  void delay_locked(const std::string& item, milliseconds delay);
  // Moves what is due into the queue; how long until the next is.
  std::optional<milliseconds> collect_due();
  std::optional<std::string> take_locked();

  const Clock& clock_;
  const QueueOptions options_;
  QueueObserver* const observer_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> ready_;
  std::unordered_map<std::string, SteadyTime> waiting_;  // in ready_, or to go there when it is done: since when
  std::unordered_set<std::string> working_;
  std::set<std::pair<SteadyTime, std::string>> delayed_;
  std::unordered_map<std::string, SteadyTime> delayed_until_;
  std::unordered_map<std::string, unsigned> failures_;
  std::minstd_rand random_{std::random_device{}()};
  bool stopped_ = false;
};

}  // namespace cistern::reconcile
