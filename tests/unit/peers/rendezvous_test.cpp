#include "cache-agent/peers/rendezvous.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cistern::peers {
namespace {

std::string owner(const std::vector<std::string>& members, const std::string& key) {
  std::string best;
  std::uint64_t highest = 0;
  for (const auto& member : members) {
    const auto value = score(stable_hash(member), stable_hash(key));
    if (value >= highest) {
      highest = value;
      best = member;
    }
  }
  return best;
}

TEST(Rendezvous, HashesAreTheSameInEveryVersion) {
  EXPECT_EQ(stable_hash(""), 0xe3b0c44298fc1c14U);
  EXPECT_EQ(score(1, 2), score(1, 2));
  EXPECT_EQ(score(stable_hash("10.0.0.1:5050"), stable_hash("k")), 18164648086144774089U);
}

TEST(Rendezvous, ObjectsAreSpreadEvenly) {
  std::vector<std::string> members;
  for (int i = 0; i < 5; ++i) members.push_back("10.0.0." + std::to_string(i) + ":5050");
  std::vector<int> owned(members.size());
  for (int k = 0; k < 5000; ++k) {
    const auto best = owner(members, "key/" + std::to_string(k));
    ++owned[static_cast<std::size_t>(std::find(members.begin(), members.end(), best) - members.begin())];
  }
  for (const int count : owned) {
    EXPECT_GT(count, 850);
    EXPECT_LT(count, 1150);
  }
}

TEST(Rendezvous, AMemberThatLeavesMovesOnlyItsOwnShare) {
  const std::vector<std::string> all = {"a:1", "b:1", "c:1", "d:1"};
  const std::vector<std::string> fewer = {"a:1", "b:1", "d:1"};
  for (int k = 0; k < 1000; ++k) {
    const auto before = owner(all, std::to_string(k));
    if (before != "c:1") {
      EXPECT_EQ(owner(fewer, std::to_string(k)), before);
    }
  }
}

}  // namespace
}  // namespace cistern::peers
