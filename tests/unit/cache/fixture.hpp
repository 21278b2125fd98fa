// A cache over a store in memory and upstreams that follow scripts.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/async.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache-agent/cache/cache.hpp"
#include "tests/fakes/fake_upstream.hpp"
#include "tests/fakes/manual_clock.hpp"

namespace cistern::cache {

using fakes::FakeUpstream;
using fakes::Script;

struct CountingObserver final : Observer {
  void verification_failed(std::string_view) override { ++failures; }
  std::atomic<unsigned> failures{0};
};

// What a client got in the end.
struct Got {
  std::optional<Error> error;  // instead of a head
  std::optional<Outcome> outcome;
  std::optional<std::uint64_t> size;
  std::string body;
  std::optional<Error> broken;  // after the head
};

class CacheTest : public testing::Test {
 protected:
  ~CacheTest() override {
    fills_.join();
    verification_.join();
  }

  Plan plan(std::string key) const {
    Plan plan;
    plan.key = std::move(key);
    for (const auto& upstream : upstreams_) plan.sources.push_back(Source{upstream, {}, config::Fallback::kAny, false, false, {}});
    return plan;
  }
  FakeUpstream& upstream(const std::string& name) {
    upstreams_.push_back(std::make_shared<FakeUpstream>(name));
    return *upstreams_.back();
  }

  template <class Value>
  Value run(Awaitable<Value> awaitable) {
    asio::io_context context(1);
    auto future = asio::co_spawn(context, std::move(awaitable), asio::use_future);
    context.run();
    return future.get();
  }
  // On a thread of its own.
  std::future<Got> get_in_background(Plan plan, ReadOptions options = {}) {
    return std::async(std::launch::async, [this, plan = std::move(plan), options] { return get(plan, options); });
  }
  Got get(Plan plan, ReadOptions options = {}) { return run(read(cache_, std::move(plan), options, SIZE_MAX)); }
  // Takes `enough` bytes and hangs up.
  Got get_some(Plan plan, std::size_t enough) { return run(read(cache_, std::move(plan), {}, enough)); }

  static Awaitable<Got> read(Cache& cache, Plan plan, ReadOptions options, std::size_t enough);

  // Until nothing is under way.
  void settle() {
    while (cache_.fills_in_flight() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  fakes::ManualClock clock_;
  std::unique_ptr<store::Store> store_ = store::make_memory_store(mib(64), clock_);
  CountingObserver observer_;
  asio::thread_pool fills_{2};
  asio::thread_pool verification_{1};
  Cache cache_{Cache::Parts{*store_, clock_, observer_, fills_, verification_}};
  std::vector<std::shared_ptr<FakeUpstream>> upstreams_;
};

}  // namespace cistern::cache
