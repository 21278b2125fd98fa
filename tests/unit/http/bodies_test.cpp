// Files, and bodies that arrive while they are sent.
#include <fcntl.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "support.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::http {
namespace {

using namespace testing;

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 12345;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

std::shared_ptr<const File> file_of(const std::string& content) {
  const fakes::TemporaryFolder folder;
  return std::make_shared<const File>(::open(folder.write("content", content).c_str(), O_RDONLY | O_CLOEXEC));
}

Awaitable<Response> respond_with(Slice slice) {
  Response response;
  response.body = Body::of(std::move(slice));
  co_return response;
}

Handler always(const Slice& slice) {
  return [slice](const Request&) { return respond_with(slice); };
}

TEST(Files, AreSentWhole) {
  const std::string content = pattern(10'000'000);
  const auto server = serve(always(FileSlice{file_of(content), 0, content.size()}));
  Client client(server->port(0));
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer answer = client.answer();
    EXPECT_EQ(answer.head, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
    EXPECT_TRUE(answer.body == content);
  }
}

TEST(Files, APartOfOneIsThatPart) {
  const std::string content = pattern(3'000'000);
  const Slice whole = FileSlice{file_of(content), 0, content.size()};
  const auto server = serve(always(part_of(whole, 1'000'001, 1'500'000)));
  EXPECT_TRUE(get(server->port(0)).body == content.substr(1'000'001, 1'500'000));
}

TEST(Files, HeadSendsTheLengthOnly) {
  const auto server = serve(always(FileSlice{file_of("abc"), 0, 3}));
  EXPECT_EQ(raw_exchange(server->port(0), "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
}

TEST(Files, ThatEndEarlyCloseTheConnectionShort) {
  Observations observations;
  ServerOptions options;
  options.observer = observations.observer();
  const auto server = serve(always(FileSlice{file_of("abc"), 0, 10}), options);
  const Answer answer = get(server->port(0));
  EXPECT_EQ(answer.body, "abc");
  EXPECT_FALSE(answer.complete);
  EXPECT_FALSE(observations.only().complete);
}

TEST(Files, OneBigTransferDoesNotHoldUpTheOthersOfItsThread) {
  const std::string content = pattern(200'000'000);
  const Slice slice = FileSlice{file_of(content), 0, content.size()};
  const auto server = serve([slice](const Request& request) { return request.target == "/big" ? respond_with(slice) : echo(request); });
  std::atomic<bool> done = false;
  std::thread reader([&] {
    Client client(server->port(0));
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(client.answer().body.size(), content.size());
    done = true;
  });
  int answered = 0;
  while (!done) answered += get(server->port(0), "/small").status == 200;
  reader.join();
  EXPECT_GT(answered, 5);
}

// A source that does as the script says, one step a call; waits in between so that each step is on its own.
struct Script {
  std::vector<Result<std::optional<Slice>>> steps;
  std::chrono::milliseconds delay = 0ms;
  std::atomic<int> cancelled = 0;
  std::atomic<int> destroyed = 0;
};

class ScriptedSource final : public BodySource {
 public:
  explicit ScriptedSource(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~ScriptedSource() override { ++script_->destroyed; }
  Awaitable<Result<std::optional<Slice>>> next() override {
    if (script_->delay > 0ms) {
      const auto executor = co_await asio::this_coro::executor;
      timer_ = std::make_unique<asio::steady_timer>(executor, script_->delay);
      boost::system::error_code error;
      co_await timer_->async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return fail(ErrorCode::kCancelled, "cancelled");
    }
    if (step_ == script_->steps.size()) co_return std::nullopt;
    co_return script_->steps[step_++];
  }
  void cancel() override {
    ++script_->cancelled;
    timer_->cancel();
  }

 private:
  std::shared_ptr<Script> script_;
  std::unique_ptr<asio::steady_timer> timer_;
  std::size_t step_ = 0;
};

Awaitable<Response> respond_with_source(std::shared_ptr<Script> script, std::optional<std::uint64_t> length) {
  Response response;
  response.body = Body::of(std::make_unique<ScriptedSource>(std::move(script)), length);
  response.annotation.result = "miss";
  co_return response;
}

Handler source(const std::shared_ptr<Script>& script, std::optional<std::uint64_t> length) {
  return [script, length](const Request&) { return respond_with_source(script, length); };
}

std::shared_ptr<Script> script(std::vector<Result<std::optional<Slice>>> steps, std::chrono::milliseconds delay = 0ms) {
  auto made = std::make_shared<Script>();
  made->steps = std::move(steps);
  made->delay = delay;
  return made;
}

std::optional<Slice> text(const std::string& bytes) { return memory_slice(bytes); }

TEST(Sources, OfKnownLengthAreSentAsTheyCome) {
  const std::string content = pattern(300'000);
  const auto steps = script({text("memory,"), text(""), Slice(FileSlice{file_of(content), 0, content.size()}), text(",end")}, 5ms);
  const auto server = serve(source(steps, content.size() + 11));
  Client client(server->port(0));
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer answer = client.answer();
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == "memory," + content + ",end");
  }
  EXPECT_TRUE(eventually([&] { return steps->destroyed == 2; }));
}

TEST(Sources, OfUnknownLengthGoOutInChunks) {
  const auto server =
      serve(source(script({text("abc"), text(""), Slice(FileSlice{file_of("0123456789abcdef"), 0, 16}), text("!")}), std::nullopt));
  EXPECT_EQ(raw_exchange(server->port(0), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: "
            "close\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n1\r\n!\r\n0\r\n\r\n");
}

TEST(Sources, OfUnknownLengthThatAreEmptyAreAnEmptyBody) {
  const auto server = serve(source(script({}), std::nullopt));
  Client client(server->port(0));
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer answer = client.answer();
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(answer.body, "");
  }
}

TEST(Sources, OfUnknownLengthEndWithTheConnectionForAnHttp10Client) {
  const auto server = serve(source(script({text("abc"), text("def")}), std::nullopt));
  EXPECT_EQ(raw_exchange(server->port(0), "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdef");
}

TEST(Sources, ThatFailBeforeTheFirstByteBecomeAStatus) {
  const std::vector<std::pair<Error, unsigned>> table = {{{ErrorCode::kUpstream, "upstream is down"}, 502},
                                                         {{ErrorCode::kTimeout, "upstream is slow"}, 504},
                                                         {{ErrorCode::kCorrupt, "wrong digest"}, 502},
                                                         {{ErrorCode::kTooManyRequests, "later", std::chrono::seconds(3)}, 429}};
  for (const auto& [error, status] : table) {
    Observations observations;
    ServerOptions options;
    options.observer = observations.observer();
    const auto server = serve(source(script({text(""), fail(error)}), 100), options);
    Client client(server->port(0));
    for (int i = 0; i < 2; ++i) {  // the connection stays usable
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const Answer answer = client.answer();
      EXPECT_EQ(answer.status, status);
      EXPECT_EQ(answer.body, error.message + "\n");
      EXPECT_EQ(answer.head.find("Retry-After: 3") != std::string::npos, status == 429);
    }
    ASSERT_TRUE(eventually([&] { return observations.seen().size() == 2; }));
    EXPECT_EQ(observations.seen()[0].status, status);
    EXPECT_EQ(observations.seen()[0].result, "error");
    EXPECT_TRUE(observations.seen()[0].complete);
  }
}

TEST(Sources, ThatFailAfterTheFirstByteAreNeverMadeToLookComplete) {
  const auto steps = script({text("abc"), fail(ErrorCode::kCorrupt, "wrong digest")});
  for (const std::optional<std::uint64_t> length : {std::optional<std::uint64_t>(10), std::optional<std::uint64_t>()}) {
    const auto server = serve(source(steps, length));
    Client client(server->port(0));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer answer = client.answer();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, "abc");
    EXPECT_FALSE(answer.complete);
    EXPECT_TRUE(client.closed_within(1s));
    EXPECT_FALSE(client.was_reset());  // a client that resumes does so after an early end, not after a reset
  }
}

TEST(Sources, ThatFailForAnHttp10ClientEndInAResetSinceTheEndItselfIsTheMark) {
  const auto server = serve(source(script({text("abc"), fail(ErrorCode::kCorrupt, "wrong digest")}, 50ms), std::nullopt));
  Client client(server->port(0));
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(client.answer().complete);
  EXPECT_TRUE(client.was_reset());
}

TEST(Sources, ShorterOrLongerThanAnnouncedCloseShort) {
  for (const std::uint64_t length : {5U, 7U}) {
    Observations observations;
    ServerOptions options;
    options.observer = observations.observer();
    const auto server = serve(source(script({text("abc"), text("def")}), length), options);
    const Answer answer = get(server->port(0));
    EXPECT_FALSE(answer.complete) << length;
    EXPECT_FALSE(observations.only().complete);
  }
}

TEST(Sources, AreToldAndDestroyedWhenTheirClientHangsUp) {
  Observations observations;
  ServerOptions options;
  options.observer = observations.observer();
  options.idle_timeout = 200ms;  // for a quick sweep
  const auto waits = script({text("never")}, 1h);
  const auto server = serve(source(waits, 5), options);
  {
    Client client(server->port(0));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::this_thread::sleep_for(150ms);
    EXPECT_EQ(waits->cancelled, 0);
    EXPECT_EQ(waits->destroyed, 0);
  }
  EXPECT_TRUE(eventually([&] { return waits->destroyed == 1; }));
  EXPECT_EQ(waits->cancelled, 1);
  EXPECT_FALSE(observations.only().complete);
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
}

TEST(Sources, AreNotAskedForHead) {
  const auto never = script({}, 1h);
  const auto server = serve(source(never, 12345));
  EXPECT_EQ(raw_exchange(server->port(0), "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return never->destroyed == 1; }));
}

Awaitable<Response> not_modified(const Request&) {
  Response response = Response::text(304, "this is not sent");
  response.headers.set("ETag", "\"a\"");
  co_return response;
}

TEST(Bodies, AreLeftOutOf304) {
  const auto server = serve(not_modified);
  EXPECT_EQ(raw_exchange(server->port(0), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 304 Not Modified\r\nContent-Type: text/plain; charset=utf-8\r\nETag: \"a\"\r\nConnection: close\r\n\r\n");
}

TEST(Bodies, InMemoryThatDoNotFitTheSocketAreSentInTurns) {
  const std::string content = pattern(20'000'000);
  const auto server = serve(always(memory_slice(content)));
  Client client(server->port(0), 16 << 10);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  EXPECT_TRUE(client.answer().body == content);
}

}  // namespace
}  // namespace cistern::http
