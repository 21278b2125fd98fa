#include "operator/kube/reflector.hpp"

#include <gmock/gmock.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "tests/unit/operator/kube/fixture.hpp"

namespace cistern::kube {
namespace {

using fakes::ApiServer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class RecordingSink final : public Sink {
 public:
  void replace(std::vector<Json> objects) override {
    change([&] {
      ++replaced_;
      known_.clear();
      for (const auto& object : objects) known_[key_of(object).name] = object;
    });
  }
  void changed(Json object) override {
    change([&] { known_[key_of(object).name] = object; });
  }
  void removed(Json object) override {
    change([&] { known_.erase(key_of(object).name); });
  }
  void connected(const Error* error) override {
    change([&] { connected_.push_back(error == nullptr); });
  }

  std::vector<std::string> names() const {
    const std::lock_guard lock(mutex_);
    return names_now();
  }
  std::vector<bool> connections() const {
    const std::lock_guard lock(mutex_);
    return connected_;
  }
  int replaced() const {
    const std::lock_guard lock(mutex_);
    return replaced_;
  }
  Json object(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    return known_.at(name);
  }
  bool wait_for(const std::vector<std::string>& names, milliseconds limit = seconds(5)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return names_now() == names; });
  }
  bool wait_for_connections(std::size_t count, milliseconds limit = seconds(5)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return connected_.size() >= count; });
  }

 private:
  void change(const std::function<void()>& what) {
    const std::lock_guard lock(mutex_);
    what();
    changed_.notify_all();
  }
  std::vector<std::string> names_now() const {
    std::vector<std::string> names;
    for (const auto& [name, object] : known_) names.push_back(name);
    return names;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Json> known_;
  std::vector<bool> connected_;
  int replaced_ = 0;
};

class ReflectorTest : public testing::Test {
 protected:
  void start(const ReflectorOptions& options = {}) {
    reflector_ = std::make_unique<Reflector>(*client_, kNodes, options, sink_, clock_);
    thread_ = std::jthread([this](const std::stop_token& stop) { reflector_->run(stop); });
  }

  ApiServer server_;
  std::unique_ptr<Client> client_ = client_of(server_);
  SystemClock clock_;
  RecordingSink sink_;
  std::unique_ptr<Reflector> reflector_;
  std::jthread thread_;
};

TEST_F(ReflectorTest, ListsThenFollows) {
  server_.put(kNodes, node("a"));
  server_.put(kNodes, node("b"));
  start();
  EXPECT_TRUE(sink_.wait_for({"a", "b"}));
  ASSERT_TRUE(server_.wait_for_watches(1));
  server_.put(kNodes, node("c"));
  server_.remove(kNodes, {"", "a"});
  EXPECT_TRUE(sink_.wait_for({"b", "c"}));
  EXPECT_EQ(sink_.replaced(), 1);
  EXPECT_THAT(sink_.connections(), ElementsAre(true));
  EXPECT_EQ(sink_.object("b").at("kind"), "Node");
  EXPECT_EQ(sink_.object("b").at("apiVersion"), "v1");
}

TEST_F(ReflectorTest, MissesNothingBetweenListAndWatch) {
  server_.add_fault({.method = "WATCH", .delay = milliseconds(200)});
  start();
  ASSERT_TRUE(server_.wait_for("WATCH", "/nodes", 1));
  server_.put(kNodes, node("between"));
  EXPECT_TRUE(sink_.wait_for({"between"}));
}

TEST_F(ReflectorTest, GoesOnFromItsVersionAtOnceWhenAWatchEnds) {
  start();
  ASSERT_TRUE(server_.wait_for_watches(1));
  server_.put(kNodes, node("a"));
  ASSERT_TRUE(sink_.wait_for({"a"}));
  const auto begin = std::chrono::steady_clock::now();
  server_.end_watches();
  ASSERT_TRUE(server_.wait_for("WATCH", "/nodes", 2));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(500));
  EXPECT_EQ(server_.requests().back().parameter("resourceVersion"), metadata(sink_.object("a"), "resourceVersion"));
  server_.put(kNodes, node("b"));
  EXPECT_TRUE(sink_.wait_for({"a", "b"}));
  EXPECT_EQ(sink_.replaced(), 1);
  EXPECT_THAT(sink_.connections(), ElementsAre(true));
}

TEST_F(ReflectorTest, DoesNotHammerAServerThatEndsEveryWatchAtOnce) {
  server_.add_fault({.method = "WATCH", .times = 0, .then_close = true});
  start();
  std::this_thread::sleep_for(seconds(2));
  EXPECT_LE(server_.count("WATCH", "/nodes"), 4U);
}

TEST_F(ReflectorTest, BookmarksMoveItsVersionForward) {
  start();
  ASSERT_TRUE(server_.wait_for_watches(1));
  const auto later = server_.put(kConfigMaps, config_map("x", "a"));
  server_.send_bookmarks();
  std::this_thread::sleep_for(milliseconds(100));
  server_.compact();
  server_.put(kNodes, node("a"));
  ASSERT_TRUE(sink_.wait_for({"a"}));
  server_.end_watches();
  ASSERT_TRUE(server_.wait_for("WATCH", "/nodes", 2));
  EXPECT_EQ(sink_.replaced(), 1);
}

TEST_F(ReflectorTest, ABookmarkIsWhatItGoesOnFrom) {
  start();
  ASSERT_TRUE(server_.wait_for_watches(1));
  const auto later = server_.put(kConfigMaps, config_map("x", "a"));
  server_.send_bookmarks();
  std::this_thread::sleep_for(milliseconds(100));
  server_.end_watches();
  ASSERT_TRUE(server_.wait_for("WATCH", "/nodes", 2));
  EXPECT_EQ(server_.requests().back().parameter("resourceVersion"), metadata(later, "resourceVersion"));
}

TEST_F(ReflectorTest, ListsAgainAtOnceWhenItsVersionIsGone) {
  start();
  std::vector<std::string> names;
  for (const bool in_stream : {true, false}) {
    server_.set_gone_in_stream(in_stream);
    ASSERT_TRUE(server_.wait_for_watches(1));
    server_.put(kNodes, node(names.emplace_back(in_stream ? "a" : "c")));
    ASSERT_TRUE(sink_.wait_for(names));
    const auto lists = server_.count("LIST", "/nodes");
    server_.add_fault({.method = "WATCH", .delay = milliseconds(200)});
    server_.end_watches();
    ASSERT_TRUE(server_.wait_for_watches(0));
    server_.put(kNodes, node(names.emplace_back(in_stream ? "b" : "d")));
    server_.compact();
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(server_.wait_for("LIST", "/nodes", lists + 1));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(700));
    EXPECT_TRUE(sink_.wait_for(names));
  }
  EXPECT_THAT(sink_.connections(), ElementsAre(true)) << "nothing was wrong";
}

TEST_F(ReflectorTest, ForgetsWhatWentWhileItWasAway) {
  server_.put(kNodes, node("a"));
  server_.put(kNodes, node("b"));
  start();
  ASSERT_TRUE(sink_.wait_for({"a", "b"}));
  ASSERT_TRUE(server_.wait_for_watches(1));
  server_.go_down();
  server_.remove(kNodes, {"", "a"});
  server_.compact();
  server_.come_up();
  EXPECT_TRUE(sink_.wait_for({"b"}, seconds(10)));
  EXPECT_EQ(sink_.replaced(), 2);
}

std::string answer(const std::string& body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

TEST_F(ReflectorTest, AnswersThatAreNoObjectsAreFailuresLikeOthers) {
  server_.put(kNodes, node("a"));
  server_.add_fault({.method = "LIST", .raw = answer("{}")});
  server_.add_fault({.method = "LIST", .raw = answer(R"({"metadata": {"resourceVersion": "1"}, "items": ["a"]})")});
  server_.add_fault({.method = "WATCH",
                     .stream = "{\"type\": \"ADDED\", \"object\": {\"metadata\": {\"name\": \"b\", \"labels\": 1}}}\n",
                     .then_close = true});
  ReflectorOptions options{.selection = {}, .first_pause = milliseconds(10), .longest_pause = milliseconds(20)};
  options.selection.trim = [](Json& object) { object["metadata"]["labels"]["seen"] = "yes"; };
  start(options);
  ASSERT_TRUE(sink_.wait_for({"a"}) || sink_.wait_for({"a", "b"}));
  EXPECT_THAT(sink_.connections().front(), false);
  server_.put(kNodes, node("c"));
  EXPECT_TRUE(sink_.wait_for({"a", "b", "c"}));
}

TEST_F(ReflectorTest, SaysWhenItIsNotUpToDateAndWhenItIsAgain) {
  start();
  ASSERT_TRUE(server_.wait_for_watches(1));
  server_.add_fault({.method = "WATCH", .times = 2, .status = 500});
  server_.reset_watches();
  ASSERT_TRUE(sink_.wait_for_connections(2));
  ASSERT_TRUE(sink_.wait_for_connections(3, seconds(10)));
  EXPECT_THAT(sink_.connections(), ElementsAre(true, false, true));
  EXPECT_EQ(sink_.replaced(), 1) << "its version was still good";
}

TEST_F(ReflectorTest, ListsAgainWhenNoWatchFromItsVersionWorks) {
  server_.put(kNodes, node("a"));
  server_.add_fault({.method = "WATCH", .times = 5, .status = 504, .message = "Too large resource version"});
  start({.selection = {}, .first_pause = milliseconds(5), .longest_pause = milliseconds(10)});
  ASSERT_TRUE(server_.wait_for("LIST", "/nodes", 2));
  ASSERT_TRUE(server_.wait_for_watches(1));
  EXPECT_EQ(server_.count("WATCH", "/nodes"), 6U);
}

TEST_F(ReflectorTest, PausesLongerWithEachFailure) {
  server_.add_fault({.times = 0, .status = 500});
  start({.selection = {}, .first_pause = milliseconds(100), .longest_pause = milliseconds(400)});
  std::this_thread::sleep_for(milliseconds(2000));
  // 100, 200, 400, 400, … and up to half as long again each.
  const auto lists = server_.count("LIST", "/nodes");
  EXPECT_GE(lists, 4U);
  EXPECT_LE(lists, 8U);
  EXPECT_THAT(sink_.connections(), ElementsAre(false));
}

TEST_F(ReflectorTest, WaitsAsLongAsTheServerAsks) {
  server_.add_fault({.method = "WATCH", .status = 429, .retry_after = 2});
  start({.selection = {}, .first_pause = milliseconds(10), .longest_pause = milliseconds(20)});
  ASSERT_TRUE(server_.wait_for("WATCH", "/nodes", 1));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(server_.wait_for("WATCH", "/nodes", 2));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(1900));
}

TEST_F(ReflectorTest, StopsWithinASecondWhateverItIsDoing) {
  start();
  ASSERT_TRUE(server_.wait_for_watches(1));
  auto begin = std::chrono::steady_clock::now();
  thread_.request_stop();
  thread_.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));

  server_.add_fault({.times = 0, .status = 500});
  start({.selection = {}, .first_pause = seconds(60), .longest_pause = seconds(60)});
  ASSERT_TRUE(sink_.wait_for_connections(2));
  begin = std::chrono::steady_clock::now();
  thread_.request_stop();
  thread_.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
}

TEST_F(ReflectorTest, SeesOnlyWhatItsSelectionSays) {
  server_.put(kNodes, node("a", {{"role", "cache"}}));
  server_.put(kNodes, node("b"));
  start({.selection = {"", "role=cache", ""}});
  ASSERT_TRUE(sink_.wait_for({"a"}));
  ASSERT_TRUE(server_.wait_for_watches(1));
  server_.put(kNodes, node("b", {{"role", "cache"}}));
  ASSERT_TRUE(sink_.wait_for({"a", "b"}));
  server_.put(kNodes, node("a"));
  EXPECT_TRUE(sink_.wait_for({"b"})) << "what is not selected any more is gone";
}

}  // namespace
}  // namespace cistern::kube
