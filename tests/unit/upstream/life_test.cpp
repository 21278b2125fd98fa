// The life of a transfer: backpressure, giving up at any time, stopping.
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>

#include "tests/unit/upstream/harness.hpp"
#include "tests/unit/upstream/raw_server.hpp"

namespace cistern::upstream {
namespace {

Awaitable<> rest(std::chrono::milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

class UpstreamLife : public Harness {};

struct SlowRead {
  std::uint64_t sent_while_waiting = 0;
  std::uint64_t read = 0;
  std::size_t reads = 0;
  std::optional<Error> error;
};

Awaitable<SlowRead> read_with_a_rest(std::shared_ptr<Upstream> upstream, std::atomic<std::uint64_t>* sent) {
  SlowRead result;
  Ask ask;
  ask.target = "/blob";
  ask.bulk = true;
  auto transfer = co_await upstream->open(ask);
  if (!transfer) {
    result.error = transfer.error();
    co_return result;
  }
  co_await rest(std::chrono::milliseconds(1600));
  result.sent_while_waiting = *sent;
  for (;;) {
    auto block = co_await (*transfer)->read();
    if (!block) {
      result.error = block.error();
      break;
    }
    if (block->empty()) break;
    result.read += block->size();
    ++result.reads;
  }
  co_return result;
}

TEST_F(UpstreamLife, AReaderThatRestsStopsTheUpstreamAndIsNoStall) {
  constexpr std::uint64_t kSize = 192 << 20;
  std::atomic<std::uint64_t> sent = 0;
  const RawServer server([&sent](int socket) {
    receive_head(socket);
    send_all(socket, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    const std::string block(64 << 10, 'x');
    for (std::uint64_t at = 0; at < kSize; at += block.size()) {
      if (!send_all(socket, block)) return;
      sent += block.size();
    }
  });
  settings_.timeouts.idle = 700ms;
  const auto result = run(context_, read_with_a_rest(upstream(server.url()), &sent));
  ASSERT_FALSE(result.error) << result.error->message;
  // The window, and what the kernel holds for both sides.
  EXPECT_LT(result.sent_while_waiting, 24U << 20);
  EXPECT_EQ(result.read, kSize);
  EXPECT_LT(result.reads, kSize / (32 << 10)) << "small pieces are gathered";
  EXPECT_EQ(observer_.bytes(), kSize);
}

TEST_F(UpstreamLife, TheFirstBytesDoNotWaitForMore) {
  const RawServer server([](int socket) {
    receive_head(socket);
    send_all(socket, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    char byte = 0;
    ::recv(socket, &byte, 1, 0);  // until the client leaves
  });
  const auto from = upstream(server.url());
  auto transfer = run(context_, from->open(ask("/x")));
  ASSERT_TRUE(transfer);
  EXPECT_EQ(*run(context_, (*transfer)->read()), "hello");
}

Awaitable<> open_and_read(std::shared_ptr<Upstream> upstream, std::string target) {
  Ask ask;
  ask.target = std::move(target);
  auto transfer = co_await upstream->open(ask);
  while (transfer) {
    const auto block = co_await (*transfer)->read();
    if (!block || block->empty()) break;
  }
}

TEST_F(UpstreamLife, ACoroutineMayBeDestroyedAtAnyTime) {
  ScriptedUpstream server;
  server.on("/silent", Reply{.silent = true});
  server.on("/big", Reply{.body = std::string(8 << 20, 'x'), .piece = 4096});
  server.on("/stalls", Reply{.body = std::string(1 << 20, 'x'), .stall_after = 300'000});
  server.on("/moved", Reply{.status = 302, .headers = {{"Location", "/silent"}}});
  server.require_bearer("/private", {});
  server.on("/private", Reply{.body = "x"});
  server.on("/unavailable", Reply{.status = 503});
  options_.backoff = 20ms;
  const auto from = upstream(server.url());
  const char* const targets[] = {"/silent", "/big", "/stalls", "/moved", "/private", "/unavailable"};
  for (int round = 0; round < 60; ++round) {
    asio::io_context context;
    for (const auto* target : targets) asio::co_spawn(context, open_and_read(from, target), asio::detached);
    context.run_for(std::chrono::microseconds(200 * round));
  }
  server.on("/x", Reply{.body = "alive"});
  const auto got = get(from, "/x");
  EXPECT_EQ(got.body, "alive") << (got.error ? got.error->message : "");
}

TEST_F(UpstreamLife, ManyAtOnceOnOneThreadEach) {
  ScriptedUpstream server;
  const std::string body(700'000, 'y');
  server.on("/x", Reply{.body = body});
  const auto from = upstream(server.url());
  std::atomic<unsigned> right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      asio::io_context context;
      for (int i = 0; i < 8; ++i) {
        asio::co_spawn(context, fetch(from, ask("/x")),
                       [&](const std::exception_ptr&, const Got& got) { right += got.body == body ? 1 : 0; });
      }
      context.run();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 32U);
}

TEST_F(UpstreamLife, StopEndsWhatIsUnderWayAndWhatComesLater) {
  ScriptedUpstream server;
  server.on("/silent", Reply{.silent = true});
  const auto from = upstream(server.url());
  std::optional<Got> got;
  asio::co_spawn(context_, fetch(from, ask("/silent")), [&](const std::exception_ptr&, Got result) { got = std::move(result); });
  ASSERT_FALSE(got);
  context_.run_for(50ms);
  client().stop();
  context_.restart();
  context_.run_for(20s);
  ASSERT_TRUE(got);
  EXPECT_FAILS(*got, ErrorCode::kCancelled);
  EXPECT_FAILS(get(from, "/x"), ErrorCode::kCancelled);
  EXPECT_EQ(from->health().consecutive_failures, 0U);
}

TEST_F(UpstreamLife, UpstreamsAndTransfersOutliveTheirClient) {
  ScriptedUpstream server;
  const std::string body(2 << 20, 'z');
  server.on("/x", Reply{.body = body});
  auto from = upstream(server.url());
  client_.reset();
  auto transfer = run(context_, from->open(ask("/x")));
  ASSERT_TRUE(transfer);
  from.reset();
  std::string read;
  for (;;) {
    const auto block = run(context_, (*transfer)->read());
    ASSERT_TRUE(block);
    if (block->empty()) break;
    read += *block;
  }
  EXPECT_TRUE(read == body);
}

}  // namespace
}  // namespace cistern::upstream
