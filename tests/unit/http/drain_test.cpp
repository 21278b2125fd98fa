#include <fcntl.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "support.hpp"

namespace cistern::http {
namespace {

using namespace testing;

Awaitable<Response> after(std::chrono::milliseconds delay) {
  asio::steady_timer timer(co_await asio::this_coro::executor, delay);
  co_await timer.async_wait(asio::use_awaitable);
  co_return Response::text(200, "late");
}

TEST(Drain, LetsAResponseUnderWayEndAndSaysThatItIsTheLast) {
  const auto server = serve([](const Request&) { return after(300ms); });
  Client client(server->port(0));
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  std::thread draining([&] { server->drain(10s); });
  const Answer answer = client.answer();
  EXPECT_EQ(answer.body, "late\n");
  EXPECT_NE(answer.head.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(client.closed_within(1s));
  draining.join();
  EXPECT_EQ(server->connections(), 0U);
}

TEST(Drain, ClosesIdleConnectionsAtOnceAndAcceptsNoMore) {
  ServerOptions options;
  options.threads = 2;
  const auto server = serve(echo, options);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(server->port(0)));
    clients.back()->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(clients.back()->answer().status, 200U);
  }
  const auto begin = std::chrono::steady_clock::now();
  server->drain(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  for (const auto& client : clients) EXPECT_TRUE(client->closed_within(1s));
  EXPECT_FALSE(Client(server->port(0)).connected());
}

TEST(Drain, CutsWhatIsLeftWhenTheLimitIsOver) {
  const auto server = serve([](const Request&) { return after(1h); });
  Client client(server->port(0));
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  const auto begin = std::chrono::steady_clock::now();
  server->drain(200ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_TRUE(client.closed_within(1s));
}

Awaitable<Response> endless(const Request&) {
  const int descriptor = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  Response response;
  response.body = Body::of(Slice(FileSlice{std::make_shared<const File>(descriptor), 0, 1'000'000'000}));
  co_return response;
}

TEST(Drain, CutsAClientThatDoesNotRead) {
  const auto server = serve(endless);
  Client client(server->port(0), 16 << 10);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  const auto begin = std::chrono::steady_clock::now();
  server->drain(200ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(server->connections(), 0U);
}

TEST(Drain, IsNotNeededForAServerThatWasNeverStarted) {
  std::vector<ListenerOptions> listeners(1);
  listeners[0].address = "127.0.0.1:0";
  listeners[0].handler = echo;
  const auto server = Server::open({}, std::move(listeners));
  ASSERT_TRUE(server);
  EXPECT_NE((*server)->port(0), 0);
}

}  // namespace
}  // namespace cistern::http
