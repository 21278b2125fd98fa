// Which of several equal upstreams is asked first, and when that changes (`selection: Fastest`).
//
// A change costs warm connections and the others' caches, and what is measured is never quite the same twice. So another is preferred only
//  - if it is better by more than a fifth and 5 ms, at every look for 10 s, over at least 3 new samples; like is compared with like: the
//    requests of both (of the last 20 s), or the probes of both (of the last 45 s);
//  - and those 10 s begin 30 s after the last change at the earliest; if changes follow each other within 10 minutes, that doubles each
//  time,
//    up to 10 minutes.
// One that is not asked because it failed is left at once, and comes back by the rules above.
//
// Requests tell by themselves. The rest is found out by probes, each upstream at most every 15 s and only if nothing was asked of it
// meanwhile; one that seems slower than another's probes is probed as well, to tell what the upstream costs from what its objects do. Where
// nothing was asked of any of them for 5 minutes, every 5 minutes. In the 10 s before a change both are probed every second, so that what
// has passed by then does not count. One whose probe took another time than before is probed again after a second, up to 8 times a minute,
// until it is known how long it takes now.
//
// Not thread-safe: selection.hpp locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "cache-agent/upstream/upstream.hpp"

namespace cistern::upstream {

struct Standing {
  bool usable = true;     // its breaker is closed and nothing holds it back
  bool may_probe = true;  // asking it is not refused: usable, or on trial
  Measures measures;
};
using Standings = std::vector<Standing>;  // in the policy's order

class Preference {
 public:
  // `seed`: another for each agent, or all of them probe at the same time.
  Preference(std::size_t size, std::uint64_t seed) : probed_(size), random_(seed) {}

  // Looks at how they stand, and says which is preferred now.
  std::size_t look(const Standings& standings, SteadyTime now);
  std::size_t preferred() const { return preferred_; }
  // All of them: the preferred one, then the better ones by what was measured last, then those that can not be asked.
  std::vector<std::size_t> order(const Standings& standings) const;
  // Those that are no worse than the preferred one by the bound; it is among them.
  std::vector<std::size_t> as_good(const Standings& standings, SteadyTime now) const;
  // Which are to be probed now. Each is taken for probed.
  std::vector<std::size_t> probes_due(const Standings& standings, SteadyTime now);
  std::uint64_t changes() const { return changes_; }

 private:
  bool is_active(SteadyTime now) const;
  SteadyTime::duration interval(SteadyTime now) const;
  std::optional<bool> is_better(const Measures& candidate, const Measures& than, SteadyTime now) const;
  std::optional<std::size_t> best_challenger(const Standings& standings, SteadyTime now) const;
  void note_activity(const Standings& standings, SteadyTime now);
  bool settle(const Standings& standings, SteadyTime now);
  void change_to(std::size_t which, SteadyTime now);
  bool is_doubted(std::size_t which, const Standings& standings) const;
  SteadyTime::duration wait(std::size_t which, const Standings& standings, SteadyTime now) const;
  double jitter();

  struct Probed {
    SteadyTime at = SteadyTime::min();
    double jitter = 1;   // of the wait after it
    unsigned extra = 0;  // sooner than others, in the minute from …
    SteadyTime minute = SteadyTime::min();
  };
  bool may_be_extra(std::size_t which, const Standings& standings, SteadyTime now);

  std::size_t preferred_ = 0;
  std::optional<SteadyTime> begun_;
  SteadyTime active_{};   // the last request of any of them
  bool settled_ = false;  // the first choice has been made
  std::uint64_t changes_ = 0;

  // A change on its way.
  std::optional<std::size_t> challenger_;
  SteadyTime challenged_{};
  std::uint64_t samples_then_ = 0;

  std::optional<SteadyTime> changed_;
  SteadyTime::duration rest_ = std::chrono::seconds(30);

  std::vector<Probed> probed_;
  std::uint64_t random_;
};

}  // namespace cistern::upstream
