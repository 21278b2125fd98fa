// The numbers of one agent, in the text format of Prometheus. What is counted is told as it happens; what is a state (the store's size,
// fills in progress, upstreams) is asked for when somebody scrapes.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include "cache-agent/observe/request_counters.hpp"
#include "cache-agent/store/store.hpp"
#include "cache-agent/upstream/upstream.hpp"
#include "http/server.hpp"

namespace cistern::observe {

struct UpstreamStatus {
  std::string name;
  upstream::Health health;
  std::optional<bool> preferred;  // of those to choose from; empty where there is no choice
};

// What is known of one name in several lists: the worst state, the measures with the most samples, the canary that does worst.
void merge(UpstreamStatus& into, UpstreamStatus other);

// Where states are read; called on the scraping thread. Each may be empty: then its numbers are left out.
struct Sources {
  std::function<store::Stats()> store;
  std::function<std::size_t()> fills;
  std::function<std::vector<UpstreamStatus>()> upstreams;  // each name once
  std::function<std::uint64_t()> preference_changes;
};

// Thread-safe.
class Metrics final : public upstream::Observer {
 public:
  // `version`: the program's, for cistern_build_info.
  explicit Metrics(std::string_view version);

  void set_sources(Sources sources);
  // The configuration in force.
  void set_config(std::string hash, std::string policy);

  // For each request; about 20 ns.
  void request(const http::Exchange& exchange) {
    requests_.count(exchange.annotation, exchange.status, exchange.duration, exchange.sent_bytes);
  }
  // upstream::Observer
  void answered(std::string_view upstream, unsigned code) override;
  void received(std::string_view upstream, std::uint64_t bytes) override;

  // `kind`: digest, sumdb, zip, note … A word known beforehand, never text from outside.
  void verify_failure(std::string_view kind);
  // `role`: client (this agent asked; `result` ok or failed) or owner (this agent was asked; ok, or refused for its signature).
  void peer_request(std::string_view role, std::string_view result);

  // The answer to GET /metrics, with kContentType.
  std::string text() const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  using Counters = prometheus::Family<prometheus::Counter>;

  std::vector<prometheus::MetricFamily> collect_states() const;

  RequestCounters requests_;
  prometheus::Registry registry_;
  Counters& upstream_requests_;
  Counters& upstream_bytes_;
  Counters& verify_failures_;
  Counters& peer_requests_;
  const std::string version_;

  mutable std::mutex mutex_;
  Sources sources_;
  std::string hash_, policy_;
};

}  // namespace cistern::observe
