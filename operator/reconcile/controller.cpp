#include "operator/reconcile/controller.hpp"

#include <spdlog/spdlog.h>

namespace cistern::reconcile {

Controller::Controller(std::string name, unsigned workers, const Clock& clock, Metrics& metrics, Reconcile reconcile)
    : name_(std::move(name)),
      workers_(workers),
      clock_(clock),
      metrics_(metrics),
      reconcile_(std::move(reconcile)),
      queue_(clock, {}, &metrics.queue(name_)) {}

void Controller::start() {
  for (unsigned i = 0; i < workers_; ++i) threads_.emplace_back([this] { work(); });
}

void Controller::stop() {
  queue_.stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Controller::work() {
  while (const auto item = queue_.take()) {
    reconcile(*item);
    queue_.done(*item);
  }
}

// An object in a form that nobody has thought of is one item's trouble, not the program's.
Result<Outcome> Controller::try_reconcile(const std::string& item) const {
  try {
    return reconcile_(item);
  } catch (const std::exception& exception) {
    return fail(ErrorCode::kInternal, "{}", exception.what());
  }
}

void Controller::reconcile(const std::string& item) {
  const auto begun = clock_.steady();
  const auto outcome = try_reconcile(item);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady() - begun);
  if (!outcome && outcome.error().code == ErrorCode::kCancelled) return;  // the program ends
  if (!outcome && outcome.error().code == ErrorCode::kConflict) {
    // Somebody was faster, and the cache will say so in a moment.
    metrics_.reconciled(name_, "requeue_after", took);
    queue_.add_failed(item);
    return;
  }
  if (!outcome) {
    metrics_.reconciled(name_, "error", took);
    const auto& error = outcome.error();
    spdlog::warn("reconcile failed: controller={} name={} failures={} error=\"{}\"", name_, item, queue_.failures(item) + 1, error.message);
    if (error.retry_after) {
      queue_.add_after(item, *error.retry_after);
    } else {
      queue_.add_failed(item);
    }
    return;
  }
  queue_.forget(item);
  metrics_.reconciled(name_, outcome->again ? "requeue_after" : "success", took);
  if (!outcome->changed.empty()) {
    spdlog::info("reconciled: controller={} name={} changed=\"{}\" ms={:.1f}", name_, item, outcome->changed,
                 static_cast<double>(took.count()) / 1000);
  }
  if (outcome->again) queue_.add_after(item, *outcome->again);
}

}  // namespace cistern::reconcile
