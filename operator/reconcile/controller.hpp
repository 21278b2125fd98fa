// One kind of work: a queue of names, threads that take from it, and what they do with each.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "operator/reconcile/metrics.hpp"
#include "operator/reconcile/work_queue.hpp"

namespace cistern::reconcile {

// What became of one item.
struct Outcome {
  std::string changed = {};                          // what was written, for the log; empty: nothing
  std::optional<milliseconds> again = std::nullopt;  // look at it again after this time
};

// "a" + "b" is "a, b"; an empty word adds nothing.
inline void add_word(std::string& list, const std::string& word) {
  if (!word.empty()) list += (list.empty() ? "" : ", ") + word;
}

class Controller {
 public:
  // `reconcile` is called with an item by one thread at a time for each; it looks at what there is, and must lead to the same end however
  // often it is called. An error is logged, and the item tried again after a growing pause.
  using Reconcile = std::function<Result<Outcome>(const std::string& item)>;
  Controller(std::string name, unsigned workers, const Clock& clock, Metrics& metrics, Reconcile reconcile);
  ~Controller() { stop(); }

  WorkQueue& queue() { return queue_; }
  void start();
  // Lets what is under way end.
  void stop();

 private:
  void work();
  Result<Outcome> try_reconcile(const std::string& item) const;
  void reconcile(const std::string& item);

  const std::string name_;
  const unsigned workers_;
  const Clock& clock_;
  Metrics& metrics_;
  const Reconcile reconcile_;
  WorkQueue queue_;
  std::vector<std::thread> threads_;
};

}  // namespace cistern::reconcile
