#include <gmock/gmock.h>

#include <malloc.h>

#include <mutex>
#include <thread>

#include "tests/unit/operator/kube/fixture.hpp"

namespace cistern::kube {
namespace {

using fakes::ApiServer;
using fakes::Fault;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

// What a watch has told, read by the test's thread.
class Told {
 public:
  void add(const WatchEvent& event) {
    const std::lock_guard lock(mutex_);
    const char* types[] = {"added ", "modified ", "deleted ", "bookmark "};
    lines_.push_back(types[static_cast<int>(event.type)] + metadata(event.object, "name"));
    version_ = metadata(event.object, "resourceVersion");
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  bool wait_for(std::size_t count) const {
    for (int i = 0; i < 500 && lines().size() < count; ++i) std::this_thread::sleep_for(milliseconds(10));
    return lines().size() >= count;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  std::string version_;
};

// A watch of nodes on a thread of its own.
class Watching {
 public:
  Watching(Client& client, const std::string& version, milliseconds silence = seconds(30), Resource resource = kNodes)
      : resource_(resource), thread_([this, &client, version, silence](const std::stop_token& stop) {
          WatchOptions options;
          options.resource_version = version;
          options.silence = std::chrono::ceil<seconds>(silence);
          result = client.watch(
              resource_, options, [this](const WatchEvent& event) { told.add(event); }, stop);
        }) {}
  Result<void> end() {
    thread_.request_stop();
    thread_.join();
    return result;
  }
  Result<void> wait() {
    thread_.join();
    return result;
  }

  Told told;
  Result<void> result;

 private:
  const Resource resource_;
  std::jthread thread_;
};

std::string version_of(ApiServer& server) { return metadata(server.put(kConfigMaps, config_map("x", "marker")), "resourceVersion"); }

TEST(Watch, TellsWhatHappensAfterItsVersion) {
  ApiServer server;
  server.put(kNodes, node("before"));
  const auto client = client_of(server);
  Watching watch(*client, version_of(server));
  server.put(kNodes, node("a"));
  server.put(kNodes, node("a", {{"x", "1"}}));
  server.remove(kNodes, {"", "a"});
  EXPECT_TRUE(watch.told.wait_for(3));
  EXPECT_EQ(watch.end().error().code, ErrorCode::kCancelled);
  EXPECT_THAT(watch.told.lines(), ElementsAre("added a", "modified a", "deleted a"));
  const auto request = server.requests().at(0);
  EXPECT_EQ(request.parameter("allowWatchBookmarks"), "true");
  EXPECT_EQ(request.parameter("timeoutSeconds"), "300");
}

TEST(Watch, TellsOfAnEventWithinMilliseconds) {
  ApiServer server;
  const auto client = client_of(server);
  Watching watch(*client, version_of(server));
  ASSERT_TRUE(server.wait_for_watches(1));
  const auto begin = std::chrono::steady_clock::now();
  server.put(kNodes, node("a"));
  while (watch.told.lines().empty() && std::chrono::steady_clock::now() - begin < seconds(5)) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(300));
}

TEST(Watch, EndsWellWhenTheServerEndsIt) {
  ApiServer server;
  const auto client = client_of(server);
  Watching watch(*client, version_of(server));
  ASSERT_TRUE(server.wait_for_watches(1));
  server.put(kNodes, node("a"));
  server.end_watches();
  const auto ended = watch.wait();
  EXPECT_TRUE(ended) << ended.error().message;
  EXPECT_THAT(watch.told.lines(), ElementsAre("added a"));
}

TEST(Watch, SaysWhenItsConnectionBreaks) {
  ApiServer server;
  const auto client = client_of(server);
  Watching watch(*client, version_of(server));
  ASSERT_TRUE(server.wait_for_watches(1));
  server.reset_watches();
  EXPECT_EQ(watch.wait().error().code, ErrorCode::kUpstream);
}

TEST(Watch, StopsAtOnceWhenAsked) {
  ApiServer server;
  const auto client = client_of(server);
  Watching watch(*client, version_of(server));
  ASSERT_TRUE(server.wait_for_watches(1));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(watch.end().error().code, ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(500));
  EXPECT_TRUE(server.wait_for_watches(0)) << "the connection is closed, too";
}

TEST(Watch, StopsAtOnceWhileTheServerHasNotAnswered) {
  ApiServer server;
  server.add_fault({.method = "WATCH", .silent = true});
  const auto client = client_of(server, {}, seconds(30));
  Watching watch(*client, "1");
  ASSERT_TRUE(server.wait_for("WATCH", "", 1));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(watch.end().error().code, ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(500));
}

TEST(Watch, IsTakenForDeadWhenItIsSilent) {
  ApiServer server;
  const auto client = client_of(server);
  Watching watch(*client, version_of(server), seconds(1));
  ASSERT_TRUE(server.wait_for_watches(1));
  server.stall_watches(true);
  EXPECT_EQ(watch.wait().error().code, ErrorCode::kTimeout);
  EXPECT_TRUE(server.wait_for_watches(0));
}

TEST(Watch, IsGoneWhenTheStatusSaysSo) {
  ApiServer server;
  server.set_gone_in_stream(false);
  const auto version = version_of(server);
  server.compact();
  const auto client = client_of(server);
  Watching watch(*client, version);
  EXPECT_EQ(watch.wait().error().code, ErrorCode::kGone);
}

TEST(Watch, IsGoneWhenAnEventSaysSo) {
  ApiServer server;
  const auto version = version_of(server);
  server.compact();
  const auto client = client_of(server);
  Watching watch(*client, version);
  const auto ended = watch.wait();
  EXPECT_EQ(ended.error().code, ErrorCode::kGone);
  EXPECT_EQ(ended.error().message, "watch nodes: 410: too old resource version");
}

TEST(Watch, SaysHowLongToWaitWhenThereAreTooMany) {
  ApiServer server;
  server.add_fault({.method = "WATCH", .status = 429, .retry_after = 7});
  const auto client = client_of(server);
  Watching watch(*client, "1");
  const auto ended = watch.wait();
  EXPECT_EQ(ended.error().code, ErrorCode::kTooManyRequests);
  EXPECT_EQ(ended.error().retry_after, seconds(7));
}

TEST(Watch, PutsHalfLinesTogether) {
  ApiServer server;
  const auto version = version_of(server);
  server.put(kNodes, node("a"));
  server.put(kNodes, node("b"));
  server.add_fault({.method = "WATCH", .piece = 7, .pause = milliseconds(1)});
  const auto client = client_of(server);
  Watching watch(*client, version);
  EXPECT_TRUE(watch.told.wait_for(2));
  EXPECT_THAT(watch.told.lines(), ElementsAre("added a", "added b"));
}

TEST(Watch, TakesEventsBiggerThanAnyBuffer) {
  ApiServer server;
  const auto version = version_of(server);
  server.put(kNodes, node("a", {{"big", std::string(3 << 20, 'x')}}));
  server.put(kNodes, node("b"));
  server.add_fault({.method = "WATCH", .piece = 100000});
  const auto client = client_of(server);
  Watching watch(*client, version);
  EXPECT_TRUE(watch.told.wait_for(2));
  EXPECT_THAT(watch.told.lines(), ElementsAre("added a", "added b"));
}

TEST(Watch, DoesNotTakeAHalfLineForAnEvent) {
  ApiServer server;
  server.add_fault({.method = "WATCH", .stream = R"({"type":"ADDED","object":{"meta)", .then_close = true});
  const auto client = client_of(server);
  Watching watch(*client, "1");
  EXPECT_EQ(watch.wait().error().code, ErrorCode::kUpstream);
  EXPECT_TRUE(watch.told.lines().empty());
}

TEST(Watch, EndsAtNonsense) {
  ApiServer server;
  server.add_fault({.method = "WATCH", .stream = "<html>\n"});
  const auto client = client_of(server);
  Watching watch(*client, "1");
  EXPECT_EQ(watch.wait().error().code, ErrorCode::kUpstream);
}

TEST(Watch, LeavesOutTypesThatItDoesNotKnow) {
  ApiServer server;
  server.add_fault({.method = "WATCH", .stream = "{\"type\":\"LATER\",\"object\":{}}\n\n", .then_close = true});
  const auto client = client_of(server);
  Watching watch(*client, "1");
  EXPECT_TRUE(watch.wait());
  EXPECT_TRUE(watch.told.lines().empty());
}

TEST(Watch, TellsBookmarks) {
  ApiServer server;
  const auto client = client_of(server);
  Watching watch(*client, version_of(server));
  ASSERT_TRUE(server.wait_for_watches(1));
  server.send_bookmarks();
  EXPECT_TRUE(watch.told.wait_for(1));
  EXPECT_THAT(watch.told.lines(), ElementsAre("bookmark "));
}

// Were a thread of the pool kept by a watch, or by a read, a few of them would leave none for the rest.
TEST(Watch, ManyDoNotHoldUpEachOtherNorRequestsOnAFewThreads) {
  ApiServer server;
  const auto client = client_of(server, {}, seconds(20));
  const auto version = version_of(server);
  std::vector<std::unique_ptr<Watching>> watches;
  for (int i = 0; i < 24; ++i) watches.push_back(std::make_unique<Watching>(*client, version));
  ASSERT_TRUE(server.wait_for_watches(24));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(client->create(kNodes, {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n" + std::to_string(i)}}}}));
  }
  for (const auto& watch : watches) EXPECT_TRUE(watch->told.wait_for(20));
}

TEST(Watch, SlowReadersDoNotHoldUpOthers) {
  ApiServer server;
  const auto client = client_of(server, {}, seconds(20));
  const auto version = version_of(server);
  std::atomic<bool> go_on = false;
  std::vector<std::jthread> slow;
  for (int i = 0; i < 8; ++i) {
    slow.emplace_back([&](const std::stop_token& stop) {
      WatchOptions options;
      options.resource_version = version;
      client->watch(
          kNodes, options,
          [&](const WatchEvent&) {
            while (!go_on) std::this_thread::sleep_for(milliseconds(5));
          },
          stop);
    });
  }
  ASSERT_TRUE(server.wait_for_watches(8));
  server.put(kNodes, node("a"));
  Watching quick(*client, version);
  EXPECT_TRUE(quick.told.wait_for(1));
  EXPECT_TRUE(client->get(kNodes, {"", "a"}));
  go_on = true;
}

TEST(Watch, AThousandDroppedOnesLeaveNoMemoryBehind) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's allocator keeps what is freed";
#endif
  ApiServer server;
  const auto client = client_of(server);
  const auto version = version_of(server);
  const auto drop = [&](int count) {
    for (int i = 0; i < count; ++i) {
      Fault fault{.method = "WATCH", .stream = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n"};
      (i % 3 == 0 ? fault.then_reset : fault.then_close) = true;
      if (i % 3 == 2) fault.stream += "{\"type\":";
      server.add_fault(fault);
      WatchOptions options;
      options.resource_version = version;
      client->watch(kNodes, options, [](const WatchEvent&) {}, {});
    }
    server.forget_requests();
  };
  drop(200);
  const auto before = ::mallinfo2().uordblks;
  drop(1000);
  std::this_thread::sleep_for(milliseconds(100));
  const auto after = ::mallinfo2().uordblks;
  EXPECT_LT(after, before + (200U << 10)) << "less than 0.2 kB a watch";
}

}  // namespace
}  // namespace cistern::kube
