#include "cache-agent/upstream/preference.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace cistern::upstream {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kGain = 0.8;
constexpr milliseconds kLeastGain{5};
constexpr seconds kHold{10};
constexpr std::uint64_t kHoldSamples = 3;
constexpr seconds kRest{30};
constexpr minutes kLongestRest{10};
constexpr minutes kSoon{10};  // changes closer than this follow each other

constexpr std::uint64_t kFirstSamples = 3;
constexpr seconds kFirstTime{10};

constexpr seconds kRequestsCount{20};  // for so long
constexpr int kProbesCount = 3;        // for so many intervals
constexpr seconds kInterval{15};
constexpr seconds kBriefInterval{1};
constexpr seconds kFirstInterval{1};
constexpr unsigned kMostExtra = 8;
constexpr minutes kIdle{5};  // after this without a request, and then the interval

bool gains(microseconds score, microseconds over) {
  return static_cast<double>(score.count()) < kGain * static_cast<double>(over.count()) && over - score > kLeastGain;
}

std::uint64_t samples(const Measures& measures) { return measures.requests.samples + measures.probes.samples; }

// Of whichever kind was measured last.
const Track& newest(const Measures& measures) {
  return measures.probes.last > measures.requests.last ? measures.probes : measures.requests;
}

microseconds newest_score(const Measures& measures) { return measures.score(newest(measures)); }

}  // namespace

bool Preference::is_active(SteadyTime now) const { return now - active_ < kIdle; }

SteadyTime::duration Preference::interval(SteadyTime now) const {
  return is_active(now) ? SteadyTime::duration(kInterval) : SteadyTime::duration(kIdle);
}

void Preference::note_activity(const Standings& standings, SteadyTime now) {
  if (!begun_) begun_ = active_ = now;
  for (const auto& standing : standings) active_ = std::max(active_, standing.measures.requests.last);
}

// Empty: it can not be told.
std::optional<bool> Preference::is_better(const Measures& candidate, const Measures& than, SteadyTime now) const {
  const auto compare = [&](Track Measures::*kind, SteadyTime::duration count) -> std::optional<bool> {
    const Track& ours = candidate.*kind;
    const Track& theirs = than.*kind;
    if (ours.samples < kFirstSamples || theirs.samples < kFirstSamples) return std::nullopt;
    if (now - ours.last > count || now - theirs.last > count) return std::nullopt;
    return gains(candidate.score(ours), than.score(theirs)) && gains(ours.first_byte, theirs.lately);
  };
  const auto by_requests = compare(&Measures::requests, kRequestsCount);
  return by_requests ? by_requests : compare(&Measures::probes, kProbesCount * interval(now));
}

std::optional<std::size_t> Preference::best_challenger(const Standings& standings, SteadyTime now) const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    if (i == preferred_ || !standings[i].usable) continue;
    if (!is_better(standings[i].measures, standings[preferred_].measures, now).value_or(false)) continue;
    if (!best || newest_score(standings[i].measures) < newest_score(standings[*best].measures)) best = i;
  }
  return best;
}

void Preference::change_to(std::size_t which, SteadyTime now) {
  preferred_ = which;
  challenger_.reset();
  ++changes_;
  const bool soon = changed_ && now - *changed_ < kSoon;
  rest_ = soon ? std::min<SteadyTime::duration>(2 * rest_, kLongestRest) : SteadyTime::duration(kRest);
  changed_ = now;
}

// The first choice is made without waiting, once all have been measured or enough time has passed. False: not yet.
bool Preference::settle(const Standings& standings, SteadyTime now) {
  const bool measured = std::all_of(standings.begin(), standings.end(), [](const Standing& standing) {
    return !standing.usable || standing.measures.probes.samples >= kFirstSamples;
  });
  if (!measured && now - *begun_ < kFirstTime) return false;
  settled_ = true;
  if (const auto best = best_challenger(standings, now)) preferred_ = *best;
  return true;
}

std::size_t Preference::look(const Standings& standings, SteadyTime now) {
  note_activity(standings, now);
  if (!standings[preferred_].usable) {
    const auto others = order(standings);
    const auto next = std::find_if(others.begin(), others.end(), [&](std::size_t i) { return standings[i].usable; });
    if (next != others.end()) change_to(*next, now);
    return preferred_;
  }
  if (!settled_) {
    settle(standings, now);
    return preferred_;
  }
  const bool rested = !changed_ || now - *changed_ >= rest_;
  const auto best = rested ? best_challenger(standings, now) : std::nullopt;
  if (!best) {
    challenger_.reset();
    return preferred_;
  }
  const auto seen = samples(standings[*best].measures) + samples(standings[preferred_].measures);
  if (challenger_ != best) {
    challenger_ = best;
    challenged_ = now;
    samples_then_ = seen;
  }
  const bool held = now - challenged_ >= kHold && seen >= samples_then_ + kHoldSamples;
  if (held) change_to(*best, now);
  return preferred_;
}

std::vector<std::size_t> Preference::order(const Standings& standings) const {
  std::vector<std::size_t> order(standings.size());
  std::iota(order.begin(), order.end(), 0);
  const auto rank = [&](std::size_t i) {
    const auto& measures = standings[i].measures;
    // What nobody has measured comes after what somebody has.
    const auto score = samples(measures) == 0 ? microseconds::max() : newest_score(measures);
    return std::make_tuple(!standings[i].usable, i != preferred_, score);
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  return order;
}

std::vector<std::size_t> Preference::as_good(const Standings& standings, SteadyTime now) const {
  std::vector<std::size_t> good;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const auto& first = standings[preferred_].measures;
    if (i == preferred_ || (standings[i].usable && !is_better(first, standings[i].measures, now).value_or(true))) good.push_back(i);
  }
  return good;
}

// The preferred one, if it seems slower by its requests than another by its probes.
bool Preference::is_doubted(std::size_t which, const Standings& standings) const {
  if (which != preferred_) return false;
  const auto& ours = standings[which].measures;
  return std::any_of(standings.begin(), standings.end(), [&](const Standing& other) {
    const bool measured = other.usable && &other != &standings[which] && samples(other.measures) > 0;
    return measured && gains(newest_score(other.measures), ours.score(ours.track()));
  });
}

SteadyTime::duration Preference::wait(std::size_t which, const Standings& standings, SteadyTime now) const {
  if (!settled_ && standings[which].measures.probes.samples < kFirstSamples) return kFirstInterval;
  if (challenger_ && (which == *challenger_ || which == preferred_)) return kBriefInterval;
  return interval(now);
}

// From 0.75 to 1.25.
double Preference::jitter() {
  random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
  return 0.75 + static_cast<double>(random_ >> 40) / static_cast<double>(1U << 25);
}

// Its last probes took another time than those before.
bool Preference::may_be_extra(std::size_t which, const Standings& standings, SteadyTime now) {
  auto& probed = probed_[which];
  if (probed.at == SteadyTime::min() || now - probed.at < kBriefInterval) return false;
  if (probed.minute == SteadyTime::min() || now - probed.minute > minutes(1)) {
    probed.minute = now;
    probed.extra = 0;
  }
  const auto& track = standings[which].measures.probes;
  const auto [less, more] = std::minmax(track.lately, track.first_byte);
  return gains(less, more) && probed.extra++ < kMostExtra;
}

std::vector<std::size_t> Preference::probes_due(const Standings& standings, SteadyTime now) {
  note_activity(standings, now);
  std::vector<std::size_t> due;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const auto& measures = standings[i].measures;
    if (!standings[i].may_probe) continue;
    const bool by_probes = !settled_ || is_doubted(i, standings) || (challenger_ && (i == *challenger_ || i == preferred_));
    // What requests have told of need not be asked for.
    const auto told = by_probes || measures.asked == SteadyTime() ? probed_[i].at : std::max(probed_[i].at, measures.asked);
    const auto pause = std::chrono::duration_cast<SteadyTime::duration>(wait(i, standings, now) * probed_[i].jitter);
    if (told != SteadyTime::min() && now - told < pause && !may_be_extra(i, standings, now)) continue;
    probed_[i].at = now;
    probed_[i].jitter = jitter();
    due.push_back(i);
  }
  return due;
}

}  // namespace cistern::upstream
