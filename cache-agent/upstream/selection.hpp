// Whom to ask for an object, and in which order.
//
// The upstreams of one list (of a view of Go, or of a registry) keep the policy's order, with three exceptions:
//  - `selection: Fastest`: neighbours with equal `match` and `fallback` (a *run*) are ordered by what is measured of them, with hysteresis
//    (preference.hpp); those that can not be asked go last within their run.
//  - `weight`: within a run, each object has a favourite by the hash of its name, which goes first (with Fastest: among those that are as
//    good). Weights spread the favourites, and a change of one moves only the objects that it has to.
//  - `rollout`: the upstream is a *canary* (canary.hpp). It is asked for its share of the objects only, then first: before the first
//    upstream that has its `match`, or "*". For all other objects, and while it is withdrawn, it is not asked. A list of nothing but
//    canaries has nothing to compare them with: they are then asked as if they were none.
//
// The same object goes the same way whatever the agent, the listener, the view or the start of the program: hashes are of its name alone.
// Who is a candidate at all (private patterns, `match`, denials) is for the caller to say, and nobody else is ever asked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "cache-agent/upstream/canary.hpp"
#include "cache-agent/upstream/preference.hpp"
#include "cache-agent/upstream/upstream.hpp"
#include "config/model.hpp"

namespace cistern::upstream {

struct Object {
  std::string_view name;   // the module's or the repository's, for the patterns of `rollout.match`
  std::string_view whole;  // of this very object, the same on all agents
};

struct Choice {
  std::size_t index;  // in the list
  bool canary = false;
  // To be told how asking went, where a canary is to be compared; may be empty.
  std::function<void(const Outcome&)> outcome;
};

// What is asked of an upstream to see how fast it is: never a download, and nothing that names a module or a repository.
std::string_view go_probe();
std::string_view image_probe();

// Thread-safe.
class Selector {
 public:
  // Both lists are of the same length, and `configurations` outlives the selector.
  Selector(const std::vector<config::Upstream>& configurations, std::vector<std::shared_ptr<Upstream>> upstreams,
           config::Selection selection, const Clock& clock);

  // `candidates`: indexes into the list, ascending.
  std::vector<Choice> order(const std::vector<std::size_t>& candidates, const Object& object);
  // Those to be probed now; each is taken for probed.
  std::vector<std::shared_ptr<Upstream>> probes_due();
  // Whether it is the preferred one of its run; empty where there is no choice to make.
  std::optional<bool> is_preferred(std::size_t index) const;
  std::uint64_t changes() const;

 private:
  struct Run {
    std::vector<std::size_t> members;
    Preference preference;
  };

  bool is_canary(std::size_t index) const { return compares_ && upstreams_[index]->canary() != nullptr; }
  bool gets(std::size_t canary, const Object& object) const;
  Standings standings(const Run& run) const;
  std::vector<std::size_t> order_run(Run& run, const Object& object);
  void spread(std::vector<std::size_t>& order, const std::vector<std::size_t>& among, const Object& object) const;
  void add_canary(std::size_t canary, std::vector<Choice>& choices) const;
  void add_outcomes(const std::vector<std::size_t>& canaries, std::vector<Choice>& choices) const;

  const std::vector<config::Upstream>& configurations_;
  const std::vector<std::shared_ptr<Upstream>> upstreams_;
  const config::Selection selection_;
  const Clock& clock_;
  bool compares_ = false;  // there are canaries, and something to compare them with

  mutable std::mutex mutex_;  // of the runs
  std::vector<Run> runs_;
};

}  // namespace cistern::upstream
