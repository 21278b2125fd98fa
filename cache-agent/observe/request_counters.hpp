// The counters that every request touches. A hit is a few microseconds in all, so these are plain arrays of atomics, one set for each of a
// few groups of threads, added up when somebody scrapes.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include <prometheus/metric_family.h>

#include "http/message.hpp"

namespace cistern::observe {

// Thread-safe.
class RequestCounters {
 public:
  RequestCounters();
  ~RequestCounters();

  void count(const http::Annotation& annotation, unsigned status, std::chrono::microseconds duration, std::uint64_t sent_bytes);

  // cistern_requests_total, cistern_request_duration_seconds, cistern_sent_bytes_total, cistern_stale_answers_total; combinations that have
  // not occurred are left out.
  std::vector<prometheus::MetricFamily> collect() const;

 private:
  struct Shard;
  static constexpr std::size_t kShards = 16;

  std::unique_ptr<std::array<Shard, kShards>> shards_;
};

}  // namespace cistern::observe
