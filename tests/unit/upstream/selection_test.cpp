#include "cache-agent/upstream/selection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/fakes/manual_clock.hpp"

namespace cistern::upstream {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::ElementsAre;

struct Told final : Upstream {
  Told(std::string name, const Clock& clock, const config::Upstream& configuration) : name_(std::move(name)) {
    if (configuration.rollout) canary_.emplace(clock, configuration.rollout->percent);
  }
  const std::string& name() const override { return name_; }
  Awaitable<Result<std::unique_ptr<Transfer>>> open(Ask) override { co_return fail(ErrorCode::kInternal, "not asked here"); }
  Health health() const override { return health_; }
  void blame(std::string_view) override {}
  Canary* canary() override { return canary_ ? &*canary_ : nullptr; }
  std::string name_;
  Health health_;
  std::optional<Canary> canary_;
};

class Selection : public testing::Test {
 protected:
  config::Upstream& add(const std::string& name, std::vector<std::string> match = {"*"}) {
    configurations_.emplace_back();
    configurations_.back().name = name;
    configurations_.back().match = std::move(match);
    return configurations_.back();
  }
  void add_canary(const std::string& name, unsigned percent, std::vector<std::string> only = {}, std::vector<std::string> match = {"*"}) {
    add(name, std::move(match)).rollout = config::Rollout{percent, std::move(only)};
  }
  // Of all that has been added.
  void make(config::Selection selection = config::Selection::kOrdered) {
    upstreams_.clear();
    std::vector<std::shared_ptr<Upstream>> list;
    for (const auto& configuration : configurations_) {
      upstreams_.push_back(std::make_shared<Told>(configuration.name, clock_, configuration));
      list.push_back(upstreams_.back());
    }
    selector_ = std::make_unique<Selector>(configurations_, std::move(list), selection, clock_);
  }
  std::vector<Choice> choices(const std::string& object, std::vector<std::size_t> candidates = {}, const std::string& name = "m") {
    if (candidates.empty()) {
      for (std::size_t i = 0; i < configurations_.size(); ++i) candidates.push_back(i);
    }
    return selector_->order(candidates, {name, object});
  }
  std::string order(const std::string& object = "o", std::vector<std::size_t> candidates = {}, const std::string& name = "m") {
    std::string names;
    for (const auto& choice : choices(object, std::move(candidates), name)) names += configurations_[choice.index].name;
    return names;
  }
  void measured(std::size_t index, std::chrono::milliseconds first_byte) {
    upstreams_[index]->health_.measures.probes = {5, first_byte, 0ms, clock_.steady(), first_byte};
    upstreams_[index]->health_.measures.asked = clock_.steady();
  }
  void refuses(std::size_t index) {
    upstreams_[index]->health_.state = BreakerState::kOpen;
    upstreams_[index]->health_.refuses = true;
  }

  fakes::ManualClock clock_;
  std::vector<config::Upstream> configurations_;
  std::vector<std::shared_ptr<Told>> upstreams_;
  std::unique_ptr<Selector> selector_;
};

TEST_F(Selection, OrderedKeepsPlaces) {
  for (const auto* name : {"a", "b", "c"}) add(name);
  make();
  measured(1, 10ms);
  refuses(0);
  EXPECT_EQ(order(), "abc");
  EXPECT_THAT(selector_->probes_due(), testing::IsEmpty());
  EXPECT_EQ(selector_->is_preferred(0), std::nullopt);
}

TEST_F(Selection, FastestAsksThePreferredFirstAndTheRefusingLast) {
  for (const auto* name : {"a", "b", "c", "d"}) add(name);
  make(config::Selection::kFastest);
  measured(0, 100ms);
  measured(1, 85ms);
  measured(2, 40ms);
  measured(3, 10ms);
  refuses(3);
  EXPECT_EQ(order(), "cbad");
  EXPECT_EQ(selector_->is_preferred(2), true);
  EXPECT_EQ(selector_->is_preferred(0), false);
}

TEST_F(Selection, FastestMovesNobodyOutOfARun) {
  add("a", {"corp.example/*"});
  add("b");
  add("c");
  add("d").fallback = config::Fallback::kAny;
  make(config::Selection::kFastest);
  measured(0, 100ms);
  measured(1, 50ms);
  measured(2, 10ms);
  measured(3, 1ms);
  EXPECT_EQ(order(), "acbd");
  EXPECT_EQ(selector_->is_preferred(0), std::nullopt) << "it is chosen from nobody";
}

TEST_F(Selection, OnlyThoseToChooseFromAreProbed) {
  add("private", {"corp.example/*"});
  add("b");
  add("c");
  make(config::Selection::kFastest);
  std::vector<std::string> names;
  for (const auto& upstream : selector_->probes_due()) names.push_back(upstream->name());
  EXPECT_THAT(names, ElementsAre("b", "c"));
  EXPECT_THAT(selector_->probes_due(), testing::IsEmpty()) << "each is taken for probed";
}

TEST_F(Selection, WeightsSpreadObjectsStably) {
  add("a").weight = 3;
  add("b");
  make();
  std::set<std::string> to_b;
  for (int i = 0; i < 4000; ++i) {
    const auto object = "object " + std::to_string(i);
    if (order(object) == "ba") to_b.insert(object);
  }
  EXPECT_NEAR(static_cast<double>(to_b.size()), 1000, 100);
  configurations_[1].weight = 2;
  make();
  for (const auto& object : to_b) EXPECT_EQ(order(object), "ba") << "more weight takes nothing away";
}

TEST_F(Selection, WeightsWithFastestSpreadOverThoseThatAreAsGood) {
  add("a").weight = 2;
  add("b").weight = 2;
  add("c").weight = 2;
  make(config::Selection::kFastest);
  measured(0, 20ms);
  measured(1, 21ms);
  measured(2, 200ms);
  std::map<std::string, unsigned> first;
  for (int i = 0; i < 1000; ++i) ++first[order("object " + std::to_string(i)).substr(0, 1)];
  EXPECT_NEAR(first["a"], 500, 60);
  EXPECT_NEAR(first["b"], 500, 60);
  EXPECT_EQ(first["c"], 0U);
}

TEST_F(Selection, ACanaryGetsItsShareOfObjectsAndTheSameOnesEverywhere) {
  add("old");
  add_canary("new", 10);
  make();
  std::vector<bool> goes;
  for (int i = 0; i < 10'000; ++i) {
    const auto object = "/example.com/m" + std::to_string(i) + "/@v/v1.0.0.zip";
    const auto asked = order(object);
    ASSERT_THAT(asked, AnyOf("old", "newold"));
    goes.push_back(asked == "newold");
  }
  EXPECT_NEAR(static_cast<double>(std::count(goes.begin(), goes.end(), true)), 1000, 200);
  // Another agent, or this one started again; with other upstreams beside them.
  add("more");
  make(config::Selection::kFastest);
  for (int i = 0; i < 10'000; ++i) {
    const auto asked = order("/example.com/m" + std::to_string(i) + "/@v/v1.0.0.zip");
    ASSERT_EQ(asked.starts_with("new"), goes[static_cast<std::size_t>(i)]);
  }
}

// Pinned: agents of different versions in one group must agree, or an object would be fetched both ways.
TEST_F(Selection, TheShareIsTheSameInEveryVersion) {
  add("old");
  add_canary("new", 10);
  make();
  std::vector<int> goes;
  for (int i = 0; i < 40; ++i) {
    if (order("object " + std::to_string(i)) == "newold") goes.push_back(i);
  }
  EXPECT_THAT(goes, ElementsAre(10, 17, 30, 33));
}

TEST_F(Selection, AGrowingShareKeepsWhatItHad) {
  add("old");
  add_canary("new", 10);
  make();
  std::vector<std::string> had;
  for (int i = 0; i < 1000; ++i) {
    if (order("object " + std::to_string(i)) == "newold") had.push_back("object " + std::to_string(i));
  }
  configurations_[1].rollout->percent = 25;
  make();
  for (const auto& object : had) EXPECT_EQ(order(object), "newold");
}

TEST_F(Selection, ACanaryIsLimitedToItsPatterns) {
  add("old");
  add_canary("new", 100, {"github.com/acme/*", "library/*"});
  make();
  EXPECT_EQ(order("o", {}, "github.com/acme/tool"), "newold");
  EXPECT_EQ(order("o", {}, "library/nginx"), "newold");
  EXPECT_EQ(order("o", {}, "github.com/other/tool"), "old");
}

TEST_F(Selection, NoneAndAllAreShares) {
  add("old");
  add_canary("new", 0);
  make();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(order(std::to_string(i)), "old");
  configurations_[1].rollout->percent = 100;
  make();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(order(std::to_string(i)), "newold");
}

TEST_F(Selection, ACanaryGoesBeforeWhatItCouldReplaceOnly) {
  add("a", {"corp.example/*"});
  add("b");
  add_canary("x", 100);
  make();
  EXPECT_EQ(order(), "axb") << "it learns of no module sooner than the upstream whose place it takes";
}

TEST_F(Selection, ACanaryThatIsNoCandidateIsNeverAsked) {
  add("private", {"corp.example/*"});
  add("public");
  add_canary("new", 100);
  for (const auto selection : {config::Selection::kOrdered, config::Selection::kFastest}) {
    make(selection);
    EXPECT_EQ(order("o", {0}), "private");
  }
}

TEST_F(Selection, CanariesAloneAreAskedLikeOthers) {
  add_canary("a", 10);
  add_canary("b", 10);
  make();
  EXPECT_EQ(order(), "ab");
  EXPECT_FALSE(choices("o")[0].canary);
  configurations_.clear();
  add("public");
  add_canary("own", 10, {}, {"corp.example/*"});
  make();
  EXPECT_EQ(order("o", {1}), "own") << "nobody else has these modules";
}

TEST_F(Selection, AFailingCanaryIsWithdrawnByWhatItsChoicesAreTold) {
  add("old");
  add_canary("new", 100);
  make();
  for (int i = 0; i < 30; ++i) choices("o")[1].outcome({true, 20ms});
  for (int i = 0; i < 5; ++i) {
    const auto now = choices("o");
    ASSERT_EQ(now.size(), 2U);
    EXPECT_TRUE(now[0].canary);
    EXPECT_FALSE(now[1].canary);
    now[0].outcome({false, {}});
  }
  EXPECT_EQ(order(), "old");
  clock_.advance(10min);
  EXPECT_EQ(order(), "newold");
}

TEST_F(Selection, ACanaryWhoseBreakerIsOpenIsNotAsked) {
  add("old");
  add_canary("new", 100);
  make();
  refuses(1);
  EXPECT_EQ(order(), "old");
}

TEST_F(Selection, WithoutCanariesNobodyIsTold) {
  add("a");
  add("b");
  make();
  for (const auto& choice : choices("o")) EXPECT_FALSE(choice.outcome);
}

}  // namespace
}  // namespace cistern::upstream
