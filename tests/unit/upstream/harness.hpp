// A client against scripted servers, and coroutines run to their end on the test's own thread.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cache-agent/upstream/client.hpp"
#include "tests/fakes/manual_clock.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::upstream {

using fakes::Reply;
using fakes::ScriptedUpstream;
using namespace std::chrono_literals;

class CountingObserver final : public Observer {
 public:
  void answered(std::string_view, unsigned code) override {
    const std::lock_guard lock(mutex_);
    ++codes_[code];
  }
  void received(std::string_view, std::uint64_t bytes) override {
    const std::lock_guard lock(mutex_);
    bytes_ += bytes;
  }
  unsigned count(unsigned code) {
    const std::lock_guard lock(mutex_);
    return codes_[code];
  }
  std::uint64_t bytes() {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  std::mutex mutex_;
  std::map<unsigned, unsigned> codes_;
  std::uint64_t bytes_ = 0;
};

// Runs until the coroutine has ended.
template <class T>
T run(asio::io_context& context, Awaitable<T> coroutine) {
  std::optional<T> result;
  asio::co_spawn(context, std::move(coroutine), [&](const std::exception_ptr& failure, T value) {
    if (failure) std::rethrow_exception(failure);
    result.emplace(std::move(value));
  });
  context.restart();
  while (!result) context.run_one();
  return std::move(*result);
}

// What came of an Ask, read to its end.
struct Got {
  Head head;
  std::string body;
  std::optional<Error> error;  // from open() if the status is 0, else from read()
};

inline Awaitable<Got> fetch(std::shared_ptr<Upstream> upstream, Ask ask) {
  Got got;
  auto transfer = co_await upstream->open(std::move(ask));
  if (!transfer) {
    got.error = transfer.error();
    co_return got;
  }
  got.head = (*transfer)->head();
  for (;;) {
    auto block = co_await (*transfer)->read();
    if (!block) {
      got.error = block.error();
      break;
    }
    if (block->empty()) break;
    EXPECT_LE(block->size(), 256U << 10);
    got.body += *block;
  }
  co_return got;
}

class Harness : public testing::Test {
 protected:
  Harness() {
    options_.backoff = 1ms;
    settings_.timeouts = {.connect = 20s, .first_byte = 20s, .idle = 20s};  // a busy machine is no failure
    settings_.breaker.failures = 100;
  }

  Client& client() {
    if (client_ == nullptr) client_ = make_client(clock_, observer_, options_);
    return *client_;
  }
  std::shared_ptr<Upstream> upstream(const std::string& url, config::Upstream configuration = {}) {
    configuration.url = url;
    if (configuration.name.empty()) configuration.name = "mirror";
    return client().upstream(configuration, settings_);
  }
  static Ask ask(std::string target) {
    Ask ask;
    ask.target = std::move(target);
    return ask;
  }
  Got get(const std::shared_ptr<Upstream>& from, Ask what) { return run(context_, fetch(from, std::move(what))); }
  Got get(const std::shared_ptr<Upstream>& from, std::string target) { return get(from, ask(std::move(target))); }

  SystemClock clock_;
  fakes::ManualClock manual_clock_;  // for a test that makes its own client_
  CountingObserver observer_;
  Options options_;
  Settings settings_;
  std::unique_ptr<Client> client_;
  asio::io_context context_;
};

inline void expect_fails(const Got& got, ErrorCode expected) {
  ASSERT_TRUE(got.error) << "status " << got.head.status;
  EXPECT_EQ(got.error->code, expected) << got.error->message;
}

#define EXPECT_FAILS(got, expected)   \
  do {                                \
    SCOPED_TRACE("expected to fail"); \
    expect_fails((got), (expected));  \
  } while (false)

}  // namespace cistern::upstream
