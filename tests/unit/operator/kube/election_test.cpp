#include "operator/kube/leader_election.hpp"

#include <gmock/gmock.h>

#include <mutex>
#include <thread>

#include "tests/fakes/manual_clock.hpp"
#include "tests/unit/operator/kube/fixture.hpp"

namespace cistern::kube {
namespace {

using fakes::ApiServer;
using fakes::ManualClock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

const ObjectKey kLease{"cistern-system", "cistern-operator"};

// A manual clock whose wall time is wrong.
class SkewedClock final : public Clock {
 public:
  SkewedClock(const Clock& clock, seconds skew) : clock_(clock), skew_(skew) {}
  SteadyTime steady() const override { return clock_.steady(); }
  WallTime wall() const override { return clock_.wall() + skew_; }

 private:
  const Clock& clock_;
  const seconds skew_;
};

// One process of several.
class Replica {
 public:
  Replica(const ApiServer& server, const Clock& clock, std::string name) : client_(client_of(server, {}, seconds(2))), clock_(clock) {
    options_.lease = kLease;
    options_.identity = std::move(name);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      result_ = run_election(
          *client_, clock_, options_, [this](const std::stop_token& leading) { lead(leading); },
          [this](const std::string& holder) {
            const std::lock_guard lock(mutex_);
            observed_.push_back(holder);
          },
          stop);
      ended_ = true;
    });
  }
  ~Replica() {
    go_on_ = true;
    thread_.request_stop();
  }

  bool leads() const { return leading_; }
  bool ended() const { return ended_; }
  Result<void> stop() {
    thread_.request_stop();
    thread_.join();
    return result_;
  }
  Result<void> wait() {
    thread_.join();
    return result_;
  }
  // Its work does not end by being told to, until this is called.
  void be_slow_to_end() { go_on_ = false; }
  void end_work() { go_on_ = true; }
  bool told_to_end() const { return told_; }
  std::vector<std::string> observed() const {
    const std::lock_guard lock(mutex_);
    return observed_;
  }

 private:
  void lead(const std::stop_token& leading) {
    leading_ = true;
    while (!leading.stop_requested()) std::this_thread::sleep_for(milliseconds(1));
    told_ = true;
    while (!go_on_) std::this_thread::sleep_for(milliseconds(1));
    leading_ = false;
  }

  std::unique_ptr<Client> client_;
  const Clock& clock_;
  ElectionOptions options_;
  std::atomic<bool> leading_ = false, told_ = false, go_on_ = true, ended_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> observed_;
  Result<void> result_;
  std::jthread thread_;
};

class ElectionTest : public testing::Test {
 protected:
  // Moves the clock in steps that everybody has time to act on, until `reached` or `limit` is over.
  bool within(seconds limit, const std::function<bool()>& reached) {
    for (seconds moved{0}; moved <= limit; moved += seconds(1)) {
      for (int i = 0; i < 20 && !reached(); ++i) std::this_thread::sleep_for(milliseconds(10));
      if (reached()) return true;
      clock_.advance(seconds(1));
    }
    return false;
  }
  // Without moving it.
  static bool soon(const std::function<bool()>& reached) {
    for (int i = 0; i < 500 && !reached(); ++i) std::this_thread::sleep_for(milliseconds(10));
    return reached();
  }
  std::string spec(const char* field) const {
    const auto lease = server_.object(kLeases, kLease);
    return lease && lease->at("spec").contains(field) ? lease->at("spec").at(field).dump() : "none";
  }

  ApiServer server_;
  ManualClock clock_;
};

TEST_F(ElectionTest, TheFirstLeadsAtOnce) {
  Replica one(server_, clock_, "one");
  EXPECT_TRUE(soon([&] { return one.leads(); }));
  EXPECT_EQ(spec("holderIdentity"), "\"one\"");
  EXPECT_EQ(spec("leaseDurationSeconds"), "15");
  EXPECT_EQ(spec("leaseTransitions"), "0");
  EXPECT_EQ(spec("renewTime"), "\"2025-06-15T15:23:20.000000Z\"");
  EXPECT_EQ(spec("acquireTime"), spec("renewTime"));
}

TEST_F(ElectionTest, ALeaderThatRenewsIsNotReplaced) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  Replica two(server_, clock_, "two");
  EXPECT_FALSE(within(seconds(40), [&] { return two.leads(); }));
  EXPECT_TRUE(one.leads());
  EXPECT_EQ(two.observed(), std::vector<std::string>{"one"});
}

TEST_F(ElectionTest, StoppingGivesTheLeaseBackOnceTheWorkHasEnded) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  Replica two(server_, clock_, "two");
  one.be_slow_to_end();
  std::jthread stopping([&] { EXPECT_TRUE(one.stop()); });
  // It goes on renewing while its work winds down.
  EXPECT_FALSE(within(seconds(40), [&] { return two.leads(); }));
  one.end_work();
  EXPECT_TRUE(within(seconds(5), [&] { return two.leads(); })) << "without waiting for the Lease's end";
  stopping.join();
  EXPECT_EQ(spec("leaseTransitions"), "2") << "to nobody, and to the other";
  EXPECT_THAT(one.observed(), ElementsAre("one", ""));
}

TEST_F(ElectionTest, AFollowerTakesOverWhenTheLeaderIsDead) {
  server_.put(kLeases,
              {{"metadata", {{"namespace", kLease.ns}, {"name", kLease.name}}},
               {"spec", {{"holderIdentity", "dead"}, {"leaseDurationSeconds", 15}, {"renewTime", "2030-01-01T00:00:00.000000Z"}}}});
  Replica two(server_, clock_, "two");
  EXPECT_FALSE(within(seconds(13), [&] { return two.leads(); })) << "it may live";
  EXPECT_TRUE(within(seconds(6), [&] { return two.leads(); })) << "whatever time it wrote";
}

TEST_F(ElectionTest, WrongClocksDoNoHarm) {
  const SkewedClock ahead(clock_, seconds(86400)), behind(clock_, seconds(-86400));
  Replica one(server_, behind, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  Replica two(server_, ahead, "two");
  EXPECT_FALSE(within(seconds(40), [&] { return two.leads(); })) << "though the Lease looks a day old to it";
  EXPECT_TRUE(one.leads());
  EXPECT_TRUE(one.stop());
  EXPECT_TRUE(within(seconds(5), [&] { return two.leads(); }));
}

TEST_F(ElectionTest, OfTwoWhoTryAtOnceOneLeads) {
  for (int round = 0; round < 5; ++round) {
    Replica one(server_, clock_, "one"), two(server_, clock_, "two");
    EXPECT_TRUE(within(seconds(5), [&] { return one.leads() || two.leads(); }));
    within(seconds(4), [] { return false; });
    EXPECT_NE(one.leads(), two.leads());
    EXPECT_TRUE(one.stop());
    EXPECT_TRUE(two.stop());
  }
}

TEST_F(ElectionTest, ALeaderThatCanNotRenewEndsBeforeAnotherMayLead) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  server_.add_fault({.path = "/leases", .times = 0, .status = 500});
  EXPECT_FALSE(within(seconds(8), [&] { return one.told_to_end(); }));
  EXPECT_TRUE(within(seconds(4), [&] { return one.told_to_end(); }));
  const auto ended = one.wait();
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().message, HasSubstr("is lost"));
}

TEST_F(ElectionTest, ALeaderWhoseRenewalHangsEndsInTimeToo) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  server_.add_fault({.path = "/leases", .times = 0, .silent = true});
  EXPECT_TRUE(within(seconds(14), [&] { return one.told_to_end(); }));
  EXPECT_FALSE(one.wait());
}

TEST_F(ElectionTest, ShortTroubleDoesNotEndALeader) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  server_.add_fault({.path = "/leases", .times = 4, .status = 500});
  EXPECT_FALSE(within(seconds(30), [&] { return one.told_to_end(); }));
}

TEST_F(ElectionTest, ALeaderWhoseLeaseWasTakenEndsAtOnce) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  server_.patch(kLeases, kLease, {{"spec", {{"holderIdentity", "thief"}}}});
  EXPECT_TRUE(within(seconds(4), [&] { return one.told_to_end(); }));
  const auto ended = one.wait();
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().message, HasSubstr("thief holds the Lease"));
  EXPECT_EQ(spec("holderIdentity"), "\"thief\"") << "it is not given back, since it is another's";
}

TEST_F(ElectionTest, ALeaseTouchedByOthersIsStillHeld) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  server_.patch(kLeases, kLease, {{"metadata", {{"labels", {{"who", "somebody"}}}}}});
  EXPECT_FALSE(within(seconds(20), [&] { return one.told_to_end(); }));
  EXPECT_EQ(server_.object(kLeases, kLease)->at("metadata").at("labels").at("who"), "somebody");
}

TEST_F(ElectionTest, ADeletedLeaseIsMadeAgain) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  server_.remove(kLeases, kLease);
  EXPECT_TRUE(within(seconds(6), [&] { return server_.object(kLeases, kLease).has_value(); }));
  EXPECT_TRUE(one.leads());
}

TEST_F(ElectionTest, StopsWhileItWaits) {
  Replica one(server_, clock_, "one");
  ASSERT_TRUE(soon([&] { return one.leads(); }));
  Replica two(server_, clock_, "two");
  within(seconds(3), [] { return false; });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(two.stop());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
  EXPECT_TRUE(one.leads());
}

}  // namespace
}  // namespace cistern::kube
