#include <algorithm>
#include <cmath>
#include <utility>

#include "cache-agent/upstream/upstream.hpp"

namespace cistern::upstream {
namespace {

struct Candidate {
  const config::Upstream* configuration;
  std::shared_ptr<Upstream> upstream;
  double latency;  // 0: not measured
  bool refuses;
};
using Candidates = std::vector<Candidate>;

// A place is given up only for a gain of more than 20 %.
constexpr double kGain = 0.8;

bool same_rank(const config::Upstream& a, const config::Upstream& b) { return a.match == b.match && a.fallback == b.fallback; }

void fastest_first(Candidates::iterator begin, Candidates::iterator end) {
  for (auto current = begin; current != end; ++current) {
    for (auto place = current; place != begin && place->latency < kGain * std::prev(place)->latency; --place) {
      std::iter_swap(place, std::prev(place));
    }
  }
  std::stable_partition(begin, end, [](const Candidate& candidate) { return !candidate.refuses; });
}

// Weighted rendezvous hashing: each object has its favourite, the favourites are spread by weight, and a change of one weight moves only
// the objects that it has to.
double score(const config::Upstream& upstream, std::uint64_t key_hash) {
  std::uint64_t mixed = key_hash ^ 0x9e3779b97f4a7c15ULL;
  for (const unsigned char c : upstream.name) mixed = (mixed ^ c) * 0x100000001b3ULL;
  mixed ^= mixed >> 31;  // splitmix64's finish: FNV alone leaves the high bits too much alike
  mixed *= 0xbf58476d1ce4e5b9ULL;
  mixed ^= mixed >> 27;
  mixed *= 0x94d049bb133111ebULL;
  mixed ^= mixed >> 31;
  const double unit = (static_cast<double>(mixed >> 11) + 0.5) / 9007199254740992.0;  // in (0, 1)
  return -static_cast<double>(upstream.weight) / std::log(unit);
}

// Moves the object's favourite to the front, if weights say that there is one.
void spread(Candidates::iterator begin, Candidates::iterator end, std::uint64_t key_hash) {
  if (std::all_of(begin, end, [](const Candidate& candidate) { return candidate.configuration->weight == 1; })) return;
  auto favourite = end;
  for (auto candidate = begin; candidate != end; ++candidate) {
    if (candidate->refuses || candidate->configuration->weight == 0) continue;
    if (favourite == end || score(*candidate->configuration, key_hash) > score(*favourite->configuration, key_hash)) favourite = candidate;
  }
  if (favourite != end) std::rotate(begin, favourite, std::next(favourite));
}

// Those that are no slower than the first by more than the gain that counts.
Candidates::iterator as_fast(Candidates::iterator begin, Candidates::iterator end) {
  return std::find_if(begin, end,
                      [&](const Candidate& candidate) { return candidate.refuses || begin->latency < kGain * candidate.latency; });
}

}  // namespace

std::vector<std::shared_ptr<Upstream>> ordered(const std::vector<std::pair<const config::Upstream*, std::shared_ptr<Upstream>>>& candidates,
                                               config::Selection selection, std::uint64_t key_hash) {
  Candidates list;
  for (const auto& [configuration, upstream] : candidates) {
    const auto health = upstream->health();
    const auto latency = health.latency ? static_cast<double>(health.latency->count()) : 0;
    list.push_back({configuration, upstream, latency, health.refuses});
  }
  for (auto begin = list.begin(); begin != list.end();) {
    const auto end =
        std::find_if(begin, list.end(), [&](const Candidate& c) { return !same_rank(*begin->configuration, *c.configuration); });
    if (selection == config::Selection::kFastest) fastest_first(begin, end);
    spread(begin, selection == config::Selection::kFastest ? as_fast(begin, end) : end, key_hash);
    begin = end;
  }
  std::vector<std::shared_ptr<Upstream>> order;
  order.reserve(list.size());
  for (auto& candidate : list) order.push_back(std::move(candidate.upstream));
  return order;
}

}  // namespace cistern::upstream
