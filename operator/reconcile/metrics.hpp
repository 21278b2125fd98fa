// The operator's numbers, named as controller-runtime names them, so that existing dashboards read them.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "operator/reconcile/work_queue.hpp"

namespace cistern::reconcile {

// Thread-safe.
class Metrics {
 public:
  explicit Metrics(std::string_view version);
  ~Metrics();

  // Of one queue; lives as long as these metrics.
  QueueObserver& queue(const std::string& name);
  // `result`: success, error or requeue_after.
  void reconciled(const std::string& controller, const char* result, std::chrono::microseconds duration);
  // `code`: an HTTP status, or "<error>" where there was no answer.
  void request(std::string_view verb, std::string_view resource, const std::string& code);
  // Mutating requests so far, whatever became of them; Leases and Events are not counted.
  double writes() const;

  // A request to a webhook, by its path; `code` is the HTTP status.
  void reviewed(const std::string& webhook, unsigned code, std::chrono::microseconds duration);

  // Whether this replica has what it needs to answer reviews; and until when the certificate that it shows is valid.
  void webhook_ready(bool ready) { webhook_ready_.Set(ready ? 1 : 0); }
  void webhook_certificate(WallTime valid_until);

  void resynced() { resyncs_.Increment(); }
  void leader(const std::string& lease, bool leads);
  void policy_ready(const std::string& policy, bool ready);
  // `running` has pods that are ready; `ready` those of them that answer with the configuration in force.
  void agents(const std::string& policy, std::size_t desired, std::size_t running, std::size_t ready);
  void forget_policy(const std::string& policy);

  // The answer to GET /metrics, with kContentType.
  std::string text() const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  class Queue;
  template <class Metric>
  using Family = prometheus::Family<Metric>;

  void set(Family<prometheus::Gauge>& family, const std::string& policy, const prometheus::Labels& labels, double value);

  prometheus::Registry registry_;
  Family<prometheus::Counter>& reconciles_;
  Family<prometheus::Counter>& reconcile_errors_;
  Family<prometheus::Histogram>& reconcile_time_;
  Family<prometheus::Gauge>& queue_depth_;
  Family<prometheus::Counter>& queue_adds_;
  Family<prometheus::Counter>& queue_retries_;
  Family<prometheus::Histogram>& queue_time_;
  Family<prometheus::Counter>& requests_;
  Family<prometheus::Counter>& writes_family_;
  Family<prometheus::Counter>& reviews_;
  Family<prometheus::Histogram>& review_time_;
  prometheus::Counter& resyncs_;
  prometheus::Gauge& webhook_ready_;
  Family<prometheus::Gauge>& webhook_certificate_;
  Family<prometheus::Gauge>& leader_;
  Family<prometheus::Gauge>& policy_ready_;
  Family<prometheus::Gauge>& agents_;

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Queue>> queues_;
  std::map<std::string, std::vector<std::pair<Family<prometheus::Gauge>*, prometheus::Gauge*>>> of_policy_;
};

}  // namespace cistern::reconcile
