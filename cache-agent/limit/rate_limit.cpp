#include "cache-agent/limit/rate_limit.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include <arpa/inet.h>

namespace cistern::limit {
namespace {

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

// An IPv4 address, or the network half of an IPv6 address: whoever has one address of a /64 has them all.
std::uint64_t client_of(std::string_view address) {
  const std::string text(address);
  std::uint32_t v4 = 0;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return mix(v4);
  std::array<unsigned char, 16> v6{};
  if (inet_pton(AF_INET6, text.c_str(), v6.data()) != 1) return mix(std::hash<std::string_view>()(address));
  static constexpr std::array<unsigned char, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), v6.begin())) {
    std::memcpy(&v4, v6.data() + kMapped.size(), sizeof v4);
    return mix(v4);
  }
  std::uint64_t network = 0;
  std::memcpy(&network, v6.data(), sizeof network);
  return mix(~network);
}

}  // namespace

RateLimiter::RateLimiter(const config::RateLimit& limit, const Clock& clock) : clock_(clock) {
  if (limit.requests_per_second <= 0) return;
  constexpr double kSecond = 1e9;
  interval_ = std::chrono::nanoseconds(std::max<std::int64_t>(1, std::llround(kSecond / limit.requests_per_second)));
  const double burst = limit.burst > 0 ? limit.burst : std::max(1.0, limit.requests_per_second);
  tolerance_ = std::chrono::nanoseconds(std::llround((burst - 1) * static_cast<double>(interval_.count())));
}

std::optional<std::chrono::seconds> RateLimiter::refuse(std::string_view address) {
  if (interval_.count() == 0) return std::nullopt;
  const auto client = client_of(address);
  const auto now = clock_.steady();
  auto& shard = shards_[client % kShards];
  const std::lock_guard lock(shard.mutex);
  auto found = shard.full_at.find(client);
  if (found == shard.full_at.end()) {
    make_room(shard, now);
    found = shard.full_at.emplace(client, now).first;
  }
  const auto full_at = std::max(found->second, now);
  const auto wait = full_at - now - tolerance_;
  if (wait.count() > 0) return std::max(std::chrono::seconds(1), std::chrono::ceil<std::chrono::seconds>(wait));
  found->second = full_at + interval_;
  return std::nullopt;
}

// Entries of clients whose buckets are full go first. With more active clients than there is room for, one is forgotten: it gets a new
// burst, and memory stays bounded.
void RateLimiter::make_room(Shard& shard, SteadyTime now) {
  if (shard.full_at.size() < kMaxPerShard) return;
  if (now >= shard.next_sweep) {
    shard.next_sweep = now + std::chrono::seconds(1);
    std::erase_if(shard.full_at, [&](const auto& entry) { return entry.second <= now; });
  }
  if (shard.full_at.size() >= kMaxPerShard) shard.full_at.erase(shard.full_at.begin());
}

}  // namespace cistern::limit
