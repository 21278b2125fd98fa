// The node program's numbers and health, on one local address.
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"
#include "operator/node/worker.hpp"

namespace cistern::node {

// Thread-safe.
class NodeMetrics {
 public:
  NodeMetrics();
  ~NodeMetrics();
  void update(const Counters& counters, const Report& report);
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// /metrics and /healthz; ends with the object.
class MetricsServer {
 public:
  virtual ~MetricsServer() = default;
  virtual unsigned short port() const = 0;
};
Result<std::unique_ptr<MetricsServer>> serve_metrics(const NodeMetrics& metrics, const std::string& address);

}  // namespace cistern::node
