// How often one client may ask. For each client address a token bucket, kept as one point in time (GCRA): memory and time for each request
// are small and bounded, however many clients there are.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "config/model.hpp"

namespace cistern::limit {

// Thread-safe; a reload makes a new one.
class RateLimiter {
 public:
  // A rate of 0 allows everything. A burst of 0 is one second's worth.
  RateLimiter(const config::RateLimit& limit, const Clock& clock);

  // Counts a request of this client (an address without port). Empty: allowed. Else refused (429), and the client may come again after so
  // many seconds, which is at least 1. The addresses of an IPv6 /64 network are one client.
  std::optional<std::chrono::seconds> refuse(std::string_view address);

 private:
  // Requests of different clients seldom meet in one.
  struct alignas(64) Shard {
    std::mutex mutex;
    // When the client's bucket will be full again; a time that has passed is as good as no entry.
    std::unordered_map<std::uint64_t, SteadyTime> full_at;
    SteadyTime next_sweep{};
  };
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kMaxPerShard = 8192;

  void make_room(Shard& shard, SteadyTime now);

  const Clock& clock_;
  std::chrono::nanoseconds interval_{0};   // between two requests, in the long run; 0: no limit
  std::chrono::nanoseconds tolerance_{0};  // how far a burst may run ahead
  std::array<Shard, kShards> shards_;
};

}  // namespace cistern::limit
