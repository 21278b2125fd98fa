#include "cache-agent/observe/metrics.hpp"

#include <algorithm>
#include <utility>

#include <prometheus/text_serializer.h>

#include "cache-agent/observe/process.hpp"

namespace cistern::observe {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

prometheus::Family<prometheus::Counter>& add_family(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

MetricFamily gauge(const char* name, const char* help, double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.gauge.value = value;
  metric.label = std::move(labels);
  return {name, help, MetricType::Gauge, {std::move(metric)}};
}

MetricFamily counter(const char* name, const char* help, double value) {
  ClientMetric metric;
  metric.counter.value = value;
  return {name, help, MetricType::Counter, {std::move(metric)}};
}

// One gauge for each upstream, where `value` has one.
template <class Value>
MetricFamily of_upstreams(const char* name, const char* help, const std::vector<UpstreamStatus>& upstreams, Value value) {
  MetricFamily family{name, help, MetricType::Gauge, {}};
  for (const auto& upstream : upstreams) {
    const std::optional<double> number = value(upstream);
    if (!number) continue;
    ClientMetric metric;
    metric.gauge.value = *number;
    metric.label = {{"upstream", upstream.name}};
    family.metric.push_back(std::move(metric));
  }
  return family;
}

double in_seconds(std::chrono::microseconds time) { return std::chrono::duration<double>(time).count(); }

MetricFamily upstream_latency(const std::vector<UpstreamStatus>& upstreams) {
  MetricFamily family{"cistern_upstream_latency_seconds",
                      "How long an upstream takes to connect, to the first byte and in all; smoothed.",
                      MetricType::Gauge,
                      {}};
  const auto add = [&](const std::string& upstream, const char* phase, std::chrono::microseconds time) {
    ClientMetric metric;
    metric.gauge.value = in_seconds(time);
    metric.label = {{"upstream", upstream}, {"phase", phase}};
    family.metric.push_back(std::move(metric));
  };
  for (const auto& [name, health, preferred] : upstreams) {
    const auto& measures = health.measures;
    if (measures.connect) add(name, "connect", *measures.connect);
    if (measures.track().samples > 0) add(name, "first_byte", measures.track().first_byte);
    if (measures.total) add(name, "total", *measures.total);
  }
  return family;
}

void add_upstreams(const std::vector<UpstreamStatus>& upstreams, std::vector<MetricFamily>& families) {
  using Number = std::optional<double>;
  const auto measured = [](const UpstreamStatus& upstream) { return upstream.health.measures.track().samples > 0; };
  families.push_back(of_upstreams("cistern_upstream_state", "0: asked; 1: asked on trial; 2: not asked, as it failed.", upstreams,
                                  [](const auto& upstream) { return Number(static_cast<int>(upstream.health.state)); }));
  families.push_back(upstream_latency(upstreams));
  families.push_back(of_upstreams(
      "cistern_upstream_jitter_seconds", "How much the time to the first byte varies; mean deviation, smoothed.", upstreams,
      [&](const auto& upstream) { return measured(upstream) ? Number(in_seconds(upstream.health.measures.track().jitter)) : Number(); }));
  families.push_back(of_upstreams("cistern_upstream_score_seconds", "What `selection: Fastest` goes by; lower is better.", upstreams,
                                  [&](const auto& upstream) {
                                    const auto& measures = upstream.health.measures;
                                    return measured(upstream) ? Number(in_seconds(measures.score(measures.track()))) : Number();
                                  }));
  families.push_back(of_upstreams("cistern_upstream_preferred", "1: asked first of those it is chosen from (`selection: Fastest`).",
                                  upstreams,
                                  [](const auto& upstream) { return upstream.preferred ? Number(*upstream.preferred) : Number(); }));
  families.push_back(of_upstreams("cistern_canary_state", "0: gets its share; 1: on trial after it was withdrawn; 2: withdrawn.", upstreams,
                                  [](const auto& upstream) {
                                    const auto& canary = upstream.health.canary;
                                    return canary ? Number(static_cast<int>(canary->state)) : Number();
                                  }));
  std::erase_if(families, [](const MetricFamily& family) { return family.metric.empty(); });
}

}  // namespace

Metrics::Metrics(std::string_view version)
    : upstream_requests_(add_family(registry_, "cistern_upstream_requests_total", "Answers of upstreams by status code; 0: none came.")),
      upstream_bytes_(add_family(registry_, "cistern_upstream_received_bytes_total", "Bytes of bodies received from upstreams.")),
      verify_failures_(add_family(registry_, "cistern_verify_failures_total", "Objects that were not what they claimed to be.")),
      peer_requests_(add_family(registry_, "cistern_peer_requests_total", "Requests between agents.")),
      version_(version) {}

void merge(UpstreamStatus& into, UpstreamStatus other) {
  const auto samples = [](const upstream::Measures& measures) { return measures.requests.samples + measures.probes.samples; };
  auto measures = samples(other.health.measures) > samples(into.health.measures) ? other.health.measures : into.health.measures;
  const bool worse = !into.health.canary || (other.health.canary && other.health.canary->state > into.health.canary->state);
  auto canary = worse ? other.health.canary : into.health.canary;
  if (other.health.state > into.health.state) into.health = std::move(other.health);
  into.health.measures = measures;
  into.health.canary = std::move(canary);
  if (other.preferred) into.preferred = into.preferred.value_or(false) || *other.preferred;
}

void Metrics::set_sources(Sources sources) {
  const std::lock_guard lock(mutex_);
  sources_ = std::move(sources);
}

void Metrics::set_config(std::string hash, std::string policy) {
  const std::lock_guard lock(mutex_);
  hash_ = std::move(hash);
  policy_ = std::move(policy);
}

void Metrics::answered(std::string_view upstream, unsigned code) {
  upstream_requests_.Add({{"upstream", std::string(upstream)}, {"code", std::to_string(code)}}).Increment();
}

void Metrics::received(std::string_view upstream, std::uint64_t bytes) {
  upstream_bytes_.Add({{"upstream", std::string(upstream)}}).Increment(static_cast<double>(bytes));
}

void Metrics::verify_failure(std::string_view kind) { verify_failures_.Add({{"kind", std::string(kind)}}).Increment(); }

void Metrics::peer_request(std::string_view role, std::string_view result) {
  peer_requests_.Add({{"peer_role", std::string(role)}, {"result", std::string(result)}}).Increment();
}

std::vector<MetricFamily> Metrics::collect_states() const {
  Sources sources;
  std::vector<MetricFamily> families;
  {
    const std::lock_guard lock(mutex_);
    sources = sources_;
    families.push_back(gauge("cistern_config_info", "The configuration in force.", 1, {{"hash", hash_}, {"policy", policy_}}));
  }
  families.push_back(gauge("cistern_build_info", "The program.", 1, {{"version", version_}}));
  if (sources.store) {
    const auto stats = sources.store();
    families.push_back(gauge("cistern_store_bytes", "Bytes of stored blobs.", static_cast<double>(stats.bytes)));
    families.push_back(gauge("cistern_store_objects", "Keys in the store.", static_cast<double>(stats.objects)));
    families.push_back(counter("cistern_store_evictions_total", "Blobs dropped to make room.", static_cast<double>(stats.evictions)));
  }
  if (sources.fills) families.push_back(gauge("cistern_fills_inflight", "Objects being fetched.", static_cast<double>(sources.fills())));
  if (sources.upstreams) add_upstreams(sources.upstreams(), families);
  if (sources.preference_changes) {
    families.push_back(counter("cistern_upstream_preference_changes_total", "Times that another upstream became the preferred one.",
                               static_cast<double>(sources.preference_changes())));
  }
  const auto process = process_numbers();
  families.push_back(gauge("process_resident_memory_bytes", "Resident memory.", static_cast<double>(process.resident.count)));
  families.push_back(gauge("process_open_fds", "Open file descriptors.", static_cast<double>(process.open_files)));
  return families;
}

std::string Metrics::text() const {
  auto families = requests_.collect();
  auto more = registry_.Collect();
  auto states = collect_states();
  std::move(more.begin(), more.end(), std::back_inserter(families));
  std::move(states.begin(), states.end(), std::back_inserter(families));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace cistern::observe
