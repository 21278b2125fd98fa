#include "cache-agent/upstream/selection.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/glob.hpp"

namespace cistern::upstream {
namespace {

bool same_rank(const config::Upstream& a, const config::Upstream& b) { return a.match == b.match && a.fallback == b.fallback; }

// FNV-1a, finished by splitmix64: FNV alone leaves the high bits too much alike.
class Hash {
 public:
  Hash& add(std::string_view text) {
    for (const unsigned char c : text) add(c);
    add(0);
    return *this;
  }
  // In (0, 1).
  double unit() const {
    std::uint64_t mixed = value_ ^ (value_ >> 31);
    mixed *= 0xbf58476d1ce4e5b9ULL;
    mixed ^= mixed >> 27;
    mixed *= 0x94d049bb133111ebULL;
    mixed ^= mixed >> 31;
    return (static_cast<double>(mixed >> 11) + 0.5) / 9007199254740992.0;
  }

 private:
  void add(unsigned char c) { value_ = (value_ ^ c) * 0x100000001b3ULL; }
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

// Weighted rendezvous hashing.
double affinity(const config::Upstream& upstream, const Object& object) {
  return -static_cast<double>(upstream.weight) / std::log(Hash().add(object.whole).add(upstream.name).unit());
}

bool matches_all(const config::Upstream& upstream) {
  return std::find(upstream.match.begin(), upstream.match.end(), "*") != upstream.match.end();
}

std::uint64_t seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

std::string_view go_probe() { return "/sumdb/sum.golang.org/supported"; }
std::string_view image_probe() { return "/v2/"; }

Selector::Selector(const std::vector<config::Upstream>& configurations, std::vector<std::shared_ptr<Upstream>> upstreams,
                   config::Selection selection, const Clock& clock)
    : configurations_(configurations), upstreams_(std::move(upstreams)), selection_(selection), clock_(clock) {
  compares_ = std::any_of(upstreams_.begin(), upstreams_.end(), [](const auto& upstream) { return upstream->canary() == nullptr; });
  std::vector<std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (is_canary(i)) continue;
    const bool joins = !members.empty() && same_rank(configurations_[members.back().front()], configurations_[i]);
    if (!joins) members.emplace_back();
    members.back().push_back(i);
  }
  for (auto& run : members) {
    const auto size = run.size();
    runs_.push_back({std::move(run), Preference(size, seed())});
  }
}

Standings Selector::standings(const Run& run) const {
  Standings standings;
  for (const auto member : run.members) {
    auto health = upstreams_[member]->health();
    const bool closed = health.state == BreakerState::kClosed;
    standings.push_back({closed && !health.refuses, !health.refuses, health.measures});
  }
  return standings;
}

bool Selector::gets(std::size_t canary, const Object& object) const {
  const auto& configuration = configurations_[canary];
  const auto& rollout = *configuration.rollout;
  if (!rollout.match.empty() && !matches_any_module_pattern(rollout.match, object.name)) return false;
  return 100 * Hash().add(object.whole).add("rollout").add(configuration.name).unit() < rollout.percent;
}

// Moves the object's favourite to the front, if weights say that there is one.
void Selector::spread(std::vector<std::size_t>& order, const std::vector<std::size_t>& among, const Object& object) const {
  if (std::all_of(order.begin(), order.end(), [&](std::size_t i) { return configurations_[i].weight == 1; })) return;
  auto favourite = order.end();
  for (auto place = order.begin(); place != order.end(); ++place) {
    if (std::find(among.begin(), among.end(), *place) == among.end()) continue;
    const bool better =
        favourite == order.end() || affinity(configurations_[*place], object) > affinity(configurations_[*favourite], object);
    if (better) favourite = place;
  }
  if (favourite != order.end()) std::rotate(order.begin(), favourite, std::next(favourite));
}

std::vector<std::size_t> Selector::order_run(Run& run, const Object& object) {
  if (run.members.size() == 1) return run.members;
  std::vector<std::size_t> order;
  std::vector<std::size_t> favourites;
  const auto how = standings(run);
  if (selection_ == config::Selection::kFastest) {
    const auto now = clock_.steady();
    run.preference.look(how, now);
    for (const auto place : run.preference.order(how)) order.push_back(run.members[place]);
    for (const auto place : run.preference.as_good(how, now)) favourites.push_back(run.members[place]);
  } else {
    order = run.members;
    for (std::size_t place = 0; place < how.size(); ++place) {
      if (how[place].may_probe) favourites.push_back(run.members[place]);
    }
  }
  spread(order, favourites, object);
  return order;
}

// Before the first that it could replace; else where the policy has it.
void Selector::add_canary(std::size_t canary, std::vector<Choice>& choices) const {
  const auto& configuration = configurations_[canary];
  auto place = std::find_if(choices.begin(), choices.end(), [&](const Choice& choice) {
    const auto& other = configurations_[choice.index];
    return other.match == configuration.match || matches_all(other);
  });
  if (place == choices.end()) {
    place = std::find_if(choices.begin(), choices.end(), [&](const Choice& choice) { return choice.index > canary; });
  }
  choices.insert(place, Choice{canary, true, {}});
}

void Selector::add_outcomes(const std::vector<std::size_t>& canaries, std::vector<Choice>& choices) const {
  if (canaries.empty()) return;
  for (auto& choice : choices) {
    const auto& own = upstreams_[choice.index];
    if (choice.canary) {
      choice.outcome = [own](const Outcome& outcome) { own->canary()->record(Canary::Side::kCanary, outcome); };
      continue;
    }
    std::vector<std::shared_ptr<Upstream>> compared;
    for (const auto canary : canaries) compared.push_back(upstreams_[canary]);
    choice.outcome = [compared](const Outcome& outcome) {
      for (const auto& canary : compared) canary->canary()->record(Canary::Side::kRest, outcome);
    };
  }
}

std::vector<Choice> Selector::order(const std::vector<std::size_t>& candidates, const Object& object) {
  const auto is_candidate = [&](std::size_t i) { return std::binary_search(candidates.begin(), candidates.end(), i); };
  std::vector<Choice> choices;
  {
    const std::lock_guard lock(mutex_);
    for (auto& run : runs_) {
      // Equal patterns: all of a run are candidates, or none.
      if (!is_candidate(run.members.front())) continue;
      for (const auto index : order_run(run, object)) choices.push_back({index, false, {}});
    }
  }
  const bool alone = choices.empty();
  std::vector<std::size_t> concerned;
  std::optional<std::size_t> first;
  for (const auto index : candidates) {
    if (!is_canary(index)) continue;
    if (alone) {
      choices.push_back({index, false, {}});
      continue;
    }
    const auto& match = configurations_[index].rollout->match;
    if (match.empty() || matches_any_module_pattern(match, object.name)) concerned.push_back(index);
    if (!first && gets(index, object) && !upstreams_[index]->health().refuses && upstreams_[index]->canary()->admitted()) first = index;
  }
  if (first) add_canary(*first, choices);
  add_outcomes(concerned, choices);
  return choices;
}

std::vector<std::shared_ptr<Upstream>> Selector::probes_due() {
  std::vector<std::shared_ptr<Upstream>> due;
  if (selection_ != config::Selection::kFastest) return due;
  const std::lock_guard lock(mutex_);
  for (auto& run : runs_) {
    if (run.members.size() < 2) continue;
    const auto how = standings(run);
    const auto now = clock_.steady();
    run.preference.look(how, now);
    for (const auto place : run.preference.probes_due(how, now)) due.push_back(upstreams_[run.members[place]]);
  }
  return due;
}

std::optional<bool> Selector::is_preferred(std::size_t index) const {
  if (selection_ != config::Selection::kFastest) return std::nullopt;
  const std::lock_guard lock(mutex_);
  for (const auto& run : runs_) {
    if (run.members.size() < 2) continue;
    const auto member = std::find(run.members.begin(), run.members.end(), index);
    if (member == run.members.end()) continue;
    return static_cast<std::size_t>(member - run.members.begin()) == run.preference.preferred();
  }
  return std::nullopt;
}

std::uint64_t Selector::changes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t changes = 0;
  for (const auto& run : runs_) changes += run.preference.changes();
  return changes;
}

}  // namespace cistern::upstream
