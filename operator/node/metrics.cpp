#include "operator/node/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/version.hpp"
#include "http/server.hpp"

namespace cistern::node {

struct NodeMetrics::Impl {
  prometheus::Registry registry;
  prometheus::Counter& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  }
  prometheus::Gauge& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
  }

  prometheus::Counter& drift = counter("cistern_node_drift_total", "Files of ours that somebody had changed and that were written again");
  prometheus::Counter& failures =
      counter("cistern_node_apply_failures_total", "Changes of the node's files that failed and were taken back");
  prometheus::Counter& applies = counter("cistern_node_applies_total", "Configurations that were put in force");
  prometheus::Counter& restores = counter("cistern_node_restores_total", "Times that the node's files were put back as before");
  prometheus::Gauge& drifted = gauge("cistern_node_drifted_files", "Files that are not as they should be, and left so");
  prometheus::Gauge& applied = gauge("cistern_node_configured", "1 if the configuration that the group asks for is in force");
};

NodeMetrics::NodeMetrics() : impl_(std::make_unique<Impl>()) {
  prometheus::BuildGauge()
      .Name("cistern_build_info")
      .Help("Version")
      .Register(impl_->registry)
      .Add({{"version", std::string(kVersion)}})
      .Set(1);
}
NodeMetrics::~NodeMetrics() = default;

void NodeMetrics::update(const Counters& counters, const Report& report) {
  const auto raise = [](prometheus::Counter& counter, unsigned long to) { counter.Increment(static_cast<double>(to) - counter.Value()); };
  raise(impl_->drift, counters.drift);
  raise(impl_->failures, counters.apply_failures);
  raise(impl_->applies, counters.applies);
  raise(impl_->restores, counters.restores);
  impl_->drifted.Set(report.drift);
  impl_->applied.Set(!report.config_hash.empty() && report.config_hash == report.applied_hash ? 1 : 0);
}

std::string NodeMetrics::text() const { return prometheus::TextSerializer().Serialize(impl_->registry.Collect()); }

namespace {

class HttpMetricsServer final : public MetricsServer {
 public:
  explicit HttpMetricsServer(const NodeMetrics& metrics) : metrics_(metrics) {}
  ~HttpMetricsServer() override {
    if (server_) server_->drain(std::chrono::milliseconds(200));
  }
  Result<void> open(const std::string& address) {
    std::vector<http::ListenerOptions> listeners(1);
    listeners[0].address = address;
    listeners[0].handler = [this](const http::Request& request) { return answer(request); };
    http::ServerOptions options;
    options.threads = 1;
    options.max_connections = 32;
    auto server = http::Server::open(std::move(options), std::move(listeners));
    if (!server) return fail(server.error());
    server_ = std::move(*server);
    server_->start();
    return {};
  }
  unsigned short port() const override { return server_->port(0); }

 private:
  Awaitable<http::Response> answer(const http::Request& request) const {
    if (request.path() == "/healthz") co_return http::Response::text(200, "ok");
    if (request.path() != "/metrics") co_return http::Response::text(404, "nothing here; this listener has /metrics and /healthz");
    auto response = http::Response::text(200, std::string());
    response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.body = http::Body::of(metrics_.text());
    co_return response;
  }

  const NodeMetrics& metrics_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace

Result<std::unique_ptr<MetricsServer>> serve_metrics(const NodeMetrics& metrics, const std::string& address) {
  auto server = std::make_unique<HttpMetricsServer>(metrics);
  if (auto opened = server->open(address); !opened) return fail(opened.error());
  return server;
}

}  // namespace cistern::node
