// "Not found", remembered for a short time, so that a missing object asked for again and again does not reach the upstream each time. In
// memory only, bounded; thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace cistern::cache {

class NegativeAnswers {
 public:
  explicit NegativeAnswers(const Clock& clock) : clock_(clock) {}

  // Whether nothing is remembered at all: then a hit need not look.
  bool empty() const;
  std::optional<Error> find(std::string_view key) const;
  void put(const std::string& key, Error error, std::chrono::milliseconds ttl);
  void forget(const std::string& key);
  // Everything, after a purge or a reload.
  void clear();

 private:
  struct Entry {
    Error error;
    SteadyTime until;
  };
  static constexpr std::size_t kMost = 8192;

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace cistern::cache
