#include "operator/reconcile/work_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/fakes/manual_clock.hpp"

namespace cistern::reconcile {
namespace {

using fakes::ManualClock;

class WorkQueueTest : public testing::Test {
 protected:
  // What is given out now, and done at once.
  std::vector<std::string> drain() {
    std::vector<std::string> items;
    while (auto item = queue_.try_take()) {
      items.push_back(*item);
      queue_.done(*item);
    }
    return items;
  }

  ManualClock clock_;
  WorkQueue queue_{clock_};
};

TEST_F(WorkQueueTest, AnItemAddedTwiceIsGivenOutOnce) {
  queue_.add("a");
  queue_.add("b");
  queue_.add("a");
  EXPECT_EQ(drain(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(queue_.idle());
}

TEST_F(WorkQueueTest, AnItemAddedWhileWorkedOnIsGivenOutAgainAfterwardsOnly) {
  queue_.add("a");
  ASSERT_EQ(queue_.try_take(), "a");
  queue_.add("a");
  queue_.add("a");
  EXPECT_EQ(queue_.try_take(), std::nullopt);
  EXPECT_FALSE(queue_.idle());
  queue_.done("a");
  EXPECT_EQ(drain(), std::vector<std::string>{"a"});
}

TEST_F(WorkQueueTest, ADelayedItemComesWhenItsTimeHasCome) {
  queue_.add_after("a", milliseconds(100));
  EXPECT_TRUE(drain().empty());
  clock_.advance(milliseconds(99));
  EXPECT_TRUE(drain().empty());
  clock_.advance(milliseconds(1));
  EXPECT_EQ(drain(), std::vector<std::string>{"a"});
}

TEST_F(WorkQueueTest, OfSeveralDelaysTheEarliestCounts) {
  queue_.add_after("a", milliseconds(100));
  queue_.add_after("a", milliseconds(50));
  queue_.add_after("a", milliseconds(200));
  clock_.advance(milliseconds(50));
  EXPECT_EQ(drain(), std::vector<std::string>{"a"});
  clock_.advance(milliseconds(1000));
  EXPECT_TRUE(drain().empty());
}

// Each pause is between half of 5, 10, 20 … ms and the whole of it, and never more than the longest.
TEST_F(WorkQueueTest, EachFailureDoublesThePauseUpToALimit) {
  milliseconds whole(5);
  for (int failure = 0; failure < 20; ++failure) {
    queue_.add_failed("a");
    clock_.advance(whole / 2 - milliseconds(1));
    EXPECT_TRUE(drain().empty()) << failure;
    clock_.advance(whole - whole / 2 + milliseconds(1));
    EXPECT_EQ(drain(), std::vector<std::string>{"a"}) << failure;
    whole = std::min(whole * 2, milliseconds(60000));
  }
  EXPECT_EQ(queue_.failures("a"), 20U);
}

TEST_F(WorkQueueTest, SuccessForgetsFailures) {
  for (int i = 0; i < 10; ++i) queue_.add_failed("a");
  clock_.advance(milliseconds(60000));
  drain();
  queue_.forget("a");
  queue_.add_failed("a");
  clock_.advance(milliseconds(5));
  EXPECT_EQ(drain(), std::vector<std::string>{"a"});
}

TEST_F(WorkQueueTest, FailuresOfOneItemDoNotSlowAnother) {
  for (int i = 0; i < 10; ++i) {
    queue_.add_failed("a");
    clock_.advance(milliseconds(60000));
    drain();
  }
  queue_.add_failed("a");
  queue_.add_failed("b");
  clock_.advance(milliseconds(5));
  EXPECT_EQ(drain(), std::vector<std::string>{"b"});
}

TEST_F(WorkQueueTest, NothingIsGivenOutAfterStop) {
  queue_.add("a");
  queue_.add_after("b", milliseconds(1));
  queue_.stop();
  queue_.add("c");
  clock_.advance(milliseconds(10));
  EXPECT_EQ(queue_.try_take(), std::nullopt);
  EXPECT_EQ(queue_.take(), std::nullopt);
}

struct CountingObserver final : QueueObserver {
  void depth(std::size_t items) override { last_depth = items; }
  void added() override { ++adds; }
  void retried() override { ++retries; }
  void waited(std::chrono::microseconds duration) override { waits.push_back(duration); }
  std::size_t last_depth = 0;
  int adds = 0, retries = 0;
  std::vector<std::chrono::microseconds> waits;
};

TEST(WorkQueueObserver, IsToldOfDepthAddsRetriesAndWaits) {
  ManualClock clock;
  CountingObserver seen;
  WorkQueue queue(clock, {}, &seen);
  queue.add("a");
  queue.add("a");
  queue.add("b");
  EXPECT_EQ(seen.adds, 2);
  EXPECT_EQ(seen.last_depth, 2U);
  clock.advance(milliseconds(7));
  ASSERT_TRUE(queue.try_take());
  EXPECT_EQ(seen.last_depth, 1U);
  EXPECT_EQ(seen.waits, std::vector<std::chrono::microseconds>{milliseconds(7)});
  queue.add_failed("a");
  EXPECT_EQ(seen.retries, 1);
}

TEST(WorkQueueThreads, NoItemIsWorkedOnTwiceAtOnceAndNoneIsLost) {
  SystemClock clock;
  WorkQueue queue(clock);
  constexpr int kItems = 20;
  std::vector<std::atomic<int>> at_work(kItems), seen(kItems), added(kItems);
  std::atomic<bool> collision = false;
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      while (const auto item = queue.take()) {
        const auto index = static_cast<std::size_t>(std::stoi(*item));
        if (at_work[index]++ != 0) collision = true;
        seen[index] = added[index].load();
        if (index % 7 == 0) std::this_thread::sleep_for(milliseconds(1));
        --at_work[index];
        queue.done(*item);
      }
    });
  }
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < kItems; ++i) {
      ++added[static_cast<std::size_t>(i)];
      if (i % 3 == 0) {
        queue.add_after(std::to_string(i), milliseconds(1));
      } else {
        queue.add(std::to_string(i));
      }
    }
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!queue.idle() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(milliseconds(2));
  EXPECT_TRUE(queue.idle());
  queue.stop();
  for (auto& worker : workers) worker.join();
  EXPECT_FALSE(collision);
  for (std::size_t i = 0; i < kItems; ++i) EXPECT_EQ(seen[i], 200) << "the last change of item " << i << " was missed";
}

TEST(WorkQueueThreads, AWaitingWorkerWakesForADelayedItem) {
  SystemClock clock;
  WorkQueue queue(clock);
  std::thread worker([&] {
    EXPECT_EQ(queue.take(), "a");
    queue.done("a");
  });
  queue.add_after("a", milliseconds(20));
  worker.join();
  EXPECT_TRUE(queue.idle());
}

}  // namespace
}  // namespace cistern::reconcile
