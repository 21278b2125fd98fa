#include "operator/reconcile/totals.hpp"

namespace cistern::reconcile {
namespace {

// A counter that is lower than before began anew.
std::uint64_t increase(std::uint64_t before, std::uint64_t now) { return now >= before ? now - before : now; }

CacheTotals counters_of(const AgentReport& report) {
  return {report.hits, report.misses, report.sent_bytes, report.upstream_bytes, report.stored_bytes};
}

}  // namespace

void Totals::begin(const std::string& policy, const kube::Json& status) {
  const std::lock_guard lock(mutex_);
  const auto [known, fresh] = policies_.try_emplace(policy);
  if (!fresh || !status.is_object() || !status.contains("cache")) return;
  const auto& cache = status.at("cache");
  const auto saved = cache.find("upstreamBytesSaved");
  if (saved == cache.end() || !saved->is_number_integer()) return;
  known->second.continued = true;
  known->second.sum.sent_bytes = saved->get<std::uint64_t>();
}

bool Totals::add(const std::string& policy, const std::string& pod, const AgentReport& report, bool known_before) {
  const std::lock_guard lock(mutex_);
  auto& [continued, sum, last] = policies_[policy];
  const auto [known, fresh] = last.try_emplace(pod);
  const CacheTotals before = known->second;
  known->second = counters_of(report);
  const auto hits = increase(before.hits, report.hits);
  const auto misses = increase(before.misses, report.misses);
  sum.hits += hits;
  sum.misses += misses;
  const bool differs = hits != 0 || misses != 0 || before.stored_bytes != report.stored_bytes;
  if (fresh && known_before && continued) return differs;
  const auto sent = increase(before.sent_bytes, report.sent_bytes);
  const auto received = increase(before.upstream_bytes, report.upstream_bytes);
  sum.sent_bytes += sent;
  sum.upstream_bytes += received;
  return differs || sent != 0 || received != 0;
}

void Totals::forget_pod(const std::string& policy, const std::string& pod) {
  const std::lock_guard lock(mutex_);
  if (const auto known = policies_.find(policy); known != policies_.end()) known->second.last.erase(pod);
}

void Totals::forget_policy(const std::string& policy) {
  const std::lock_guard lock(mutex_);
  policies_.erase(policy);
}

CacheTotals Totals::of(const std::string& policy) const {
  const std::lock_guard lock(mutex_);
  const auto known = policies_.find(policy);
  if (known == policies_.end()) return {};
  CacheTotals totals = known->second.sum;
  for (const auto& [pod, report] : known->second.last) totals.stored_bytes += report.stored_bytes;
  return totals;
}

}  // namespace cistern::reconcile
