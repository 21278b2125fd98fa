#include "cache-agent/observe/metrics.hpp"

#include <algorithm>
#include <map>
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

MetricFamily upstream_states(const std::vector<UpstreamStatus>& upstreams) {
  std::map<std::string, int> worst;
  for (const auto& [name, health] : upstreams) {
    auto& state = worst[name];
    state = std::max(state, static_cast<int>(health.state));
  }
  MetricFamily family{"cistern_upstream_state", "0: asked; 1: asked on trial; 2: not asked, as it failed.", MetricType::Gauge, {}};
  for (const auto& [name, state] : worst) {
    ClientMetric metric;
    metric.gauge.value = state;
    metric.label = {{"upstream", name}};
    family.metric.push_back(std::move(metric));
  }
  return family;
}

}  // namespace

Metrics::Metrics(std::string_view version)
    : upstream_requests_(add_family(registry_, "cistern_upstream_requests_total", "Answers of upstreams by status code; 0: none came.")),
      upstream_bytes_(add_family(registry_, "cistern_upstream_received_bytes_total", "Bytes of bodies received from upstreams.")),
      verify_failures_(add_family(registry_, "cistern_verify_failures_total", "Objects that were not what they claimed to be.")),
      peer_requests_(add_family(registry_, "cistern_peer_requests_total", "Requests between agents.")),
      version_(version) {}

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
  if (sources.upstreams) families.push_back(upstream_states(sources.upstreams()));
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
