#include "cache-agent/peers/directory.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/manual_clock.hpp"

namespace cistern::peers {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Answers with what the test says, and counts.
class FakeResolver final : public Resolver {
 public:
  Result<Resolution> resolve(const std::string& host) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    host_ = host;
    changed_.notify_all();
    return answer_;
  }
  void answer(Result<Resolution> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  // Waits for `more` look-ups from now on.
  bool wait_for_calls(int more) {
    std::unique_lock lock(mutex_);
    const int wanted = calls_ + more;
    return changed_.wait_for(lock, seconds(10), [&] { return calls_ >= wanted; });
  }
  std::string host() {
    const std::lock_guard lock(mutex_);
    return host_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
  std::string host_;
  Result<Resolution> answer_ = Resolution{};
};

config::Peers peers(const std::vector<config::Peer>& list, std::string self, std::string zone = "") {
  config::Peers result;
  result.enabled = true;
  result.self = std::move(self);
  result.zone = std::move(zone);
  result.list = list;
  return result;
}

std::vector<config::Peer> five() {
  std::vector<config::Peer> list;
  for (int i = 1; i <= 5; ++i) list.push_back({"10.0.0." + std::to_string(i) + ":5050", ""});
  return list;
}

std::string key(int i) { return "oci/docker.io/blob/" + std::to_string(i); }

TEST(PeerDirectory, AllAgentsAgreeOnTheOwner) {
  fakes::ManualClock clock;
  std::vector<std::unique_ptr<Directory>> agents;
  for (const auto& peer : five()) agents.push_back(std::make_unique<Directory>(peers(five(), peer.address), clock));
  for (int k = 0; k < 200; ++k) {
    std::set<std::string> asked;
    int owning = 0;
    for (const auto& agent : agents) {
      const auto owners = agent->owners(key(k));
      EXPECT_LE(owners.size(), 2U);
      if (owners.empty()) {
        ++owning;
        asked.insert(agent->self());
      } else {
        asked.insert(owners.front());
        EXPECT_EQ(std::find(owners.begin(), owners.end(), agent->self()), owners.end());
      }
    }
    EXPECT_THAT(asked, SizeIs(1)) << k;
    EXPECT_EQ(owning, 1) << k;
  }
}

TEST(PeerDirectory, TheSecondInRankAsksOnlyTheFirst) {
  fakes::ManualClock clock;
  const Directory outsider(peers(five(), "10.9.9.9:5050"), clock);
  for (int k = 0; k < 50; ++k) {
    const auto owners = outsider.owners(key(k));
    ASSERT_THAT(owners, SizeIs(2));
    EXPECT_THAT(Directory(peers(five(), owners[1]), clock).owners(key(k)), ElementsAre(owners[0]));
    EXPECT_THAT(Directory(peers(five(), owners[0]), clock).owners(key(k)), IsEmpty());
  }
}

TEST(PeerDirectory, APeerThatFailedIsPassedOverAndComesBack) {
  fakes::ManualClock clock;
  Directory directory(peers(five(), "10.9.9.9:5050"), clock);
  const auto before = directory.owners("k");
  directory.failed(before[0]);
  EXPECT_EQ(directory.owners("k")[0], before[1]);
  clock.advance(std::chrono::milliseconds(999));
  EXPECT_EQ(directory.owners("k")[0], before[1]);
  clock.advance(std::chrono::milliseconds(2));
  EXPECT_EQ(directory.owners("k"), before);
}

TEST(PeerDirectory, TheBackoffDoublesUpToThirtySecondsAndEndsWithSuccess) {
  fakes::ManualClock clock;
  Directory directory(peers(five(), "10.9.9.9:5050"), clock);
  const auto owner = directory.owners("k")[0];
  const auto passed_over = [&] { return directory.owners("k")[0] != owner; };
  for (const int expected : {1, 2, 4, 8, 16, 30, 30, 30}) {
    directory.failed(owner);
    clock.advance(seconds(expected) - std::chrono::milliseconds(1));
    EXPECT_TRUE(passed_over()) << expected;
    clock.advance(std::chrono::milliseconds(1));
    EXPECT_FALSE(passed_over()) << expected;
  }
  directory.ok(owner);
  directory.failed(owner);
  clock.advance(seconds(1));
  EXPECT_FALSE(passed_over());
}

TEST(PeerDirectory, ManyRequestsThatFailAtOnceAreOneFailure) {
  fakes::ManualClock clock;
  Directory directory(peers(five(), "10.9.9.9:5050"), clock);
  const auto owner = directory.owners("k")[0];
  for (int i = 0; i < 100; ++i) directory.failed(owner);
  clock.advance(seconds(1));
  EXPECT_EQ(directory.owners("k")[0], owner);
}

TEST(PeerDirectory, WithAllPeersPassedOverTheUpstreamIsAsked) {
  fakes::ManualClock clock;
  Directory directory(peers(five(), "10.0.0.1:5050"), clock);
  for (const auto& peer : five()) directory.failed(peer.address);
  for (int k = 0; k < 20; ++k) EXPECT_THAT(directory.owners(key(k)), IsEmpty());
}

TEST(PeerDirectory, OwnersAreOfTheOwnZoneWhileItHasAny) {
  fakes::ManualClock clock;
  const std::vector<config::Peer> list = {{"a1:1", "a"}, {"a2:1", "a"}, {"b1:1", "b"}, {"b2:1", "b"}, {"b3:1", "b"}};
  const Directory in_a(peers(list, "a1:1", "a"), clock);
  std::set<std::string> asked;
  for (int k = 0; k < 100; ++k) {
    for (const auto& owner : in_a.owners(key(k))) asked.insert(owner);
  }
  EXPECT_THAT(asked, ElementsAre("a2:1"));
  const Directory in_c(peers(list, "c1:1", "c"), clock);
  EXPECT_THAT(in_c.owners("k"), SizeIs(2));
}

TEST(PeerDirectory, AloneOrSwitchedOffNobodyIsAsked) {
  fakes::ManualClock clock;
  EXPECT_THAT(Directory(peers({{"a:1", ""}}, "a:1"), clock).owners("k"), IsEmpty());
  auto off = peers(five(), "10.0.0.1:5050");
  off.enabled = false;
  EXPECT_THAT(Directory(off, clock).owners("k"), IsEmpty());
  EXPECT_THAT(Directory(off, clock).peers(), IsEmpty());
}

TEST(PeerDirectory, UnknownPeersAreIgnored) {
  fakes::ManualClock clock;
  Directory directory(peers(five(), "10.0.0.1:5050"), clock);
  directory.failed("nobody:1");
  directory.ok("nobody:1");
  EXPECT_THAT(directory.peers(), SizeIs(5));
}

config::Peers by_name() {
  auto configuration = peers({}, "");
  configuration.dns = "agents.cistern-system:5050";
  return configuration;
}

// Waits until the directory has as many members.
bool has_members(const Directory& directory, std::size_t count) {
  for (int i = 0; i < 1000 && directory.peers().size() != count; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return directory.peers().size() == count;
}

TEST(PeerDirectory, ANameIsFollowedAndSelfIsFoundAmongTheLocalAddresses) {
  fakes::ManualClock clock;
  auto resolver = std::make_unique<FakeResolver>();
  auto* fake = resolver.get();
  fake->answer(Resolution{{"10.0.0.1", "10.0.0.2", "fd00::3"}, seconds(1)});
  Directory directory(by_name(), clock, std::move(resolver), {"127.0.0.1", "10.0.0.2"});
  ASSERT_TRUE(has_members(directory, 3));
  EXPECT_EQ(fake->host(), "agents.cistern-system");
  EXPECT_EQ(directory.self(), "10.0.0.2:5050");
  EXPECT_EQ(directory.peers()[2].address, "[fd00::3]:5050");
  fake->answer(Resolution{{"10.0.0.1", "10.0.0.2"}, seconds(1)});
  EXPECT_TRUE(has_members(directory, 2));
}

TEST(PeerDirectory, TheLastGoodAnswerStaysWhenTheNameServerFails) {
  fakes::ManualClock clock;
  auto resolver = std::make_unique<FakeResolver>();
  auto* fake = resolver.get();
  fake->answer(Resolution{{"10.0.0.1", "10.0.0.2"}, seconds(0)});
  Directory directory(by_name(), clock, std::move(resolver), {"10.0.0.2"});
  ASSERT_TRUE(has_members(directory, 2));
  fake->answer(fail(ErrorCode::kTimeout, "no name server"));
  ASSERT_TRUE(fake->wait_for_calls(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_THAT(directory.peers(), SizeIs(2));
}

TEST(PeerDirectory, HealthSurvivesALookUp) {
  fakes::ManualClock clock;
  auto resolver = std::make_unique<FakeResolver>();
  auto* fake = resolver.get();
  fake->answer(Resolution{{"10.0.0.1", "10.0.0.2"}, seconds(1)});
  Directory directory(by_name(), clock, std::move(resolver), {"10.0.0.2"});
  ASSERT_TRUE(has_members(directory, 2));
  directory.failed("10.0.0.1:5050");
  fake->answer(Resolution{{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, seconds(1)});
  ASSERT_TRUE(has_members(directory, 3));
  EXPECT_TRUE(directory.peers()[0].passed_over);
}

TEST(PeerDirectory, EndsAtOnceWhileWaiting) {
  fakes::ManualClock clock;
  const auto began = std::chrono::steady_clock::now();
  {
    auto resolver = std::make_unique<FakeResolver>();
    resolver->answer(Resolution{{"10.0.0.1"}, seconds(30)});
    const Directory directory(by_name(), clock, std::move(resolver), {});
    ASSERT_TRUE(has_members(directory, 1));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(5));
}

}  // namespace
}  // namespace cistern::peers
