// One line for each request that is worth one: whatever was not a plain hit, errors, slow ones, and a sample of the hits.
//
//   request client=10.0.0.7 method=GET target=/go/github.com/pkg/errors/@v/list status=200 ecosystem=go result=miss bytes=42 ms=31.4
//
// Targets are logged without their query, and what a client sent can not break a line or forge a field.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <spdlog/logger.h>

#include "http/server.hpp"

namespace cistern::observe {

// Thread-safe.
class AccessLog {
 public:
  explicit AccessLog(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}

  // From now on: requests that take longer than `slow` are logged, and one in `hits_one_in` of the hits (0: none). Health checks and
  // scrapes count as hits.
  void configure(std::chrono::milliseconds slow, unsigned hits_one_in);

  void record(const http::Exchange& exchange);

 private:
  bool is_worth_a_line(const http::Exchange& exchange);

  const std::shared_ptr<spdlog::logger> logger_;
  std::atomic<std::int64_t> slow_us_{5'000'000};
  std::atomic<unsigned> hits_one_in_{1000};
  std::atomic<unsigned> hits_{0};
};

// What http::Server calls: counts, and logs. Both outlive the server.
class Metrics;
http::Observer make_observer(Metrics& metrics, AccessLog& log);

}  // namespace cistern::observe
