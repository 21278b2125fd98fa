#include "operator/reconcile/metrics.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <prometheus/text_serializer.h>

namespace cistern::reconcile {
namespace {

using prometheus::ClientMetric;
using prometheus::Labels;
using prometheus::MetricFamily;
using prometheus::MetricType;

prometheus::Family<prometheus::Counter>& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Gauge>& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& histogram(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

const prometheus::Histogram::BucketBoundaries kSeconds{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60};

// A review takes microseconds, and 3 s at most.
const prometheus::Histogram::BucketBoundaries kReviewSeconds{0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 3};

double seconds(std::chrono::microseconds duration) { return static_cast<double>(duration.count()) / 1e6; }

MetricFamily state(const char* name, const char* help, double value) {
  ClientMetric metric;
  metric.gauge.value = value;
  return {name, help, MetricType::Gauge, {std::move(metric)}};
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_files() {
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  return error ? 0 : static_cast<double>(std::distance(files, std::filesystem::directory_iterator()));
}

bool is_write(std::string_view verb) { return verb == "PATCH" || verb == "POST" || verb == "PUT" || verb == "DELETE"; }

}  // namespace

class Metrics::Queue final : public QueueObserver {
 public:
  Queue(prometheus::Gauge& depth, prometheus::Counter& adds, prometheus::Counter& retries, prometheus::Histogram& time)
      : depth_(depth), adds_(adds), retries_(retries), time_(time) {}
  void depth(std::size_t items) override { depth_.Set(static_cast<double>(items)); }
  void added() override { adds_.Increment(); }
  void retried() override { retries_.Increment(); }
  void waited(std::chrono::microseconds duration) override { time_.Observe(seconds(duration)); }

 private:
  prometheus::Gauge& depth_;
  prometheus::Counter& adds_;
  prometheus::Counter& retries_;
  prometheus::Histogram& time_;
};

Metrics::Metrics(std::string_view version)
    : reconciles_(counter(registry_, "controller_runtime_reconcile_total", "Reconciles by controller and result.")),
      reconcile_errors_(counter(registry_, "controller_runtime_reconcile_errors_total", "Reconciles that failed, by controller.")),
      reconcile_time_(histogram(registry_, "controller_runtime_reconcile_time_seconds", "Time that a reconcile takes.")),
      queue_depth_(gauge(registry_, "workqueue_depth", "Items that wait.")),
      queue_adds_(counter(registry_, "workqueue_adds_total", "Items added.")),
      queue_retries_(counter(registry_, "workqueue_retries_total", "Items added again after a failure.")),
      queue_time_(histogram(registry_, "workqueue_queue_duration_seconds", "Time that an item waits.")),
      requests_(counter(registry_, "rest_client_requests_total", "Requests to the API server by status code and method.")),
      writes_family_(counter(registry_, "cistern_operator_writes_total",
                             "Mutating requests by method and resource, without Leases and Events; none while nothing changes.")),
      reviews_(counter(registry_, "controller_runtime_webhook_requests_total", "Admission requests by webhook and HTTP status code.")),
      review_time_(histogram(registry_, "controller_runtime_webhook_latency_seconds", "Time that an admission request takes.")),
      resyncs_(counter(registry_, "cistern_resyncs_total", "How often everything was looked at again.").Add({})),
      webhook_ready_(gauge(registry_, "cistern_webhook_ready", "1: this replica has rules and a certificate for the webhook.").Add({})),
      webhook_certificate_(gauge(registry_, "cistern_webhook_certificate_expiry_timestamp_seconds",
                                 "Until when the webhook's certificate that this replica shows is valid, in seconds since 1970.")),
      leader_(gauge(registry_, "leader_election_master_status", "1: this replica leads.")),
      policy_ready_(gauge(registry_, "cistern_policy_ready", "1: the policy's Ready condition is True.")),
      agents_(gauge(registry_, "cistern_agents",
                    "Agents of a policy: desired; running, as pods; ready, with the configuration that they shall have.")) {
  gauge(registry_, "cistern_build_info", "The operator's version.").Add({{"version", std::string(version)}}).Set(1);
}

Metrics::~Metrics() = default;

QueueObserver& Metrics::queue(const std::string& name) {
  const std::lock_guard lock(mutex_);
  auto& queue = queues_[name];
  if (!queue) {
    const Labels labels{{"name", name}};
    queue = std::make_unique<Queue>(queue_depth_.Add(labels), queue_adds_.Add(labels), queue_retries_.Add(labels),
                                    queue_time_.Add(labels, kSeconds));
  }
  return *queue;
}

void Metrics::reconciled(const std::string& controller, const char* result, std::chrono::microseconds duration) {
  const Labels labels{{"controller", controller}};
  reconciles_.Add({{"controller", controller}, {"result", result}}).Increment();
  auto& errors = reconcile_errors_.Add(labels);
  if (std::string_view(result) == "error") errors.Increment();
  reconcile_time_.Add(labels, kSeconds).Observe(seconds(duration));
}

void Metrics::request(std::string_view verb, std::string_view resource, const std::string& code) {
  requests_.Add({{"code", code}, {"method", std::string(verb)}}).Increment();
  if (!is_write(verb) || resource == "leases" || resource == "events") return;
  writes_family_.Add({{"method", std::string(verb)}, {"resource", std::string(resource)}}).Increment();
}

void Metrics::reviewed(const std::string& webhook, unsigned code, std::chrono::microseconds duration) {
  reviews_.Add({{"code", std::to_string(code)}, {"webhook", webhook}}).Increment();
  review_time_.Add({{"webhook", webhook}}, kReviewSeconds).Observe(seconds(duration));
}

void Metrics::webhook_certificate(WallTime valid_until) {
  webhook_certificate_.Add({}).Set(static_cast<double>(valid_until.time_since_epoch().count()));
}

double Metrics::writes() const {
  double sum = 0;
  for (const auto& family : writes_family_.Collect()) {
    for (const auto& metric : family.metric) sum += metric.counter.value;
  }
  return sum;
}

void Metrics::leader(const std::string& lease, bool leads) { leader_.Add({{"name", lease}}).Set(leads ? 1 : 0); }

void Metrics::set(Family<prometheus::Gauge>& family, const std::string& policy, const Labels& labels, double value) {
  auto& metric = family.Add(labels);
  metric.Set(value);
  auto& known = of_policy_[policy];
  if (std::ranges::find(known, &metric, &std::pair<Family<prometheus::Gauge>*, prometheus::Gauge*>::second) == known.end()) {
    known.emplace_back(&family, &metric);
  }
}

void Metrics::policy_ready(const std::string& policy, bool ready) {
  const std::lock_guard lock(mutex_);
  set(policy_ready_, policy, {{"policy", policy}}, ready ? 1 : 0);
}

void Metrics::agents(const std::string& policy, std::size_t desired, std::size_t running, std::size_t ready) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, value] : {std::pair("desired", desired), std::pair("running", running), std::pair("ready", ready)}) {
    set(agents_, policy, {{"policy", policy}, {"state", name}}, static_cast<double>(value));
  }
}

void Metrics::forget_policy(const std::string& policy) {
  const std::lock_guard lock(mutex_);
  const auto found = of_policy_.find(policy);
  if (found == of_policy_.end()) return;
  for (const auto& [family, metric] : found->second) family->Remove(metric);
  of_policy_.erase(found);
}

std::string Metrics::text() const {
  auto families = registry_.Collect();
  families.push_back(state("process_resident_memory_bytes", "Resident memory of this process.", resident_bytes()));
  families.push_back(state("process_open_fds", "Open file descriptors of this process.", open_files()));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace cistern::reconcile
