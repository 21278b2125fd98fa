// Several threads, many clients.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <stdexcept>

#include "tests/unit/verify/scripted_source.hpp"

namespace cistern::verify {
namespace {

Awaitable<Result<std::string>> count_and_answer(std::atomic<int>* starts) {
  ++*starts;
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  co_return std::string("answer");
}

TEST(SingleFlight, RunsTheWorkOnceForAllWhoAskMeanwhile) {
  asio::io_context context;
  SingleFlight<std::string> flights;
  std::atomic<int> starts = 0;
  std::vector<std::future<Result<std::string>>> results;
  for (int i = 0; i < 10; ++i) results.push_back(asio::co_spawn(context, flights.run("key", count_and_answer(&starts)), asio::use_future));
  context.run();
  for (auto& result : results) EXPECT_EQ(result.get().value(), "answer");
  EXPECT_EQ(starts, 1);
  EXPECT_EQ(run(flights.run("key", count_and_answer(&starts))).value(), "answer");
  EXPECT_EQ(starts, 2);
}

TEST(SumDb, AsksOnceForWhatManyWant) {
  World world(70'000);
  world.add("example.org/m");
  asio::io_context context;
  std::vector<std::future<Result<std::string>>> results;
  for (int i = 0; i < 50; ++i)
    results.push_back(asio::co_spawn(context, world.client->lookup("example.org/m", "v1.0.0"), asio::use_future));
  context.run();
  for (auto& result : results) EXPECT_TRUE(result.get());
  EXPECT_EQ(world.source.fetches("/lookup/example.org/m@v1.0.0"), 1);
  EXPECT_EQ(world.source.fetches(), 1 + 3) << "the look-up, and the three tiles at the edge of the log, the record among them";
}

TEST(SumDb, ServesManyThreadsWhileTheLogGrows) {
  World world(1000);
  constexpr int kModules = 40;
  asio::thread_pool pool(4);
  std::vector<std::future<Result<std::string>>> results;
  for (int i = 0; i < kModules; ++i) {
    const std::string module = "example.org/m" + std::to_string(i);
    world.add(module);
    world.database.add_filler(20);
    world.clock.advance(std::chrono::minutes(2));
    for (int k = 0; k < 4; ++k)
      results.push_back(asio::co_spawn(pool, world.client->hash_of(module, "v1.0.0", k % 2 == 0), asio::use_future));
    results.push_back(asio::co_spawn(pool, world.client->latest(), asio::use_future));
    results.push_back(asio::co_spawn(pool, world.client->tile("/tile/8/0/003.p/" + std::to_string(200 + i)), asio::use_future));
  }
  for (auto& result : results) {
    const auto got = result.get();
    EXPECT_TRUE(got) << got.error().message;
  }
  pool.join();
  std::uint64_t last = 0;
  for (const std::string& head : world.source.heads()) {
    const auto tree = parse_tree(head).value();
    EXPECT_GT(tree.size, last) << "heads are kept in their order";
    last = tree.size;
  }
}

Awaitable<Result<std::string>> wait_an_hour() {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
  co_return std::string("late");
}

TEST(SingleFlight, StartsAnewAfterTheWorkWasDestroyed) {
  SingleFlight<std::string> flights;
  std::atomic<int> starts = 0;
  {
    asio::io_context context;
    asio::co_spawn(context, flights.run("key", wait_an_hour()), asio::detached);
    context.poll();
  }
  EXPECT_EQ(run(flights.run("key", count_and_answer(&starts))).value(), "answer");
}

Awaitable<Result<std::string>> throw_later() {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  throw std::runtime_error("thrown by the work");
}

TEST(SingleFlight, TurnsWhatTheWorkThrowsIntoAnErrorForAll) {
  asio::io_context context;
  SingleFlight<std::string> flights;
  std::vector<std::future<Result<std::string>>> results;
  for (int i = 0; i < 3; ++i) results.push_back(asio::co_spawn(context, flights.run("key", throw_later()), asio::use_future));
  context.run();
  for (auto& result : results) EXPECT_EQ(result.get().error().message, "thrown by the work");
}

}  // namespace
}  // namespace cistern::verify
