// Time, size and number.
#include <fcntl.h>
#include <sys/resource.h>

#include "support.hpp"

namespace cistern::http {
namespace {

using namespace testing;

ServerOptions quick() {
  ServerOptions options;
  options.header_timeout = 200ms;
  options.idle_timeout = 400ms;
  options.send_timeout = 300ms;
  return options;
}

TEST(Limits, AHeaderThatTakesTooLongIs408) {
  const auto server = serve(echo, quick());
  Client client(server->port(0));
  client.send("GET / HTT");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 408U);
  EXPECT_TRUE(client.closed_within(1s));
}

TEST(Limits, AHeaderThatTricklesIs408Too) {
  const auto server = serve(echo, quick());
  Client client(server->port(0));
  client.send("GET / HTTP/1.1\r\nX: ");
  const auto begin = std::chrono::steady_clock::now();
  while (!client.receive(20ms) && std::chrono::steady_clock::now() - begin < 3s) client.send("x");
  EXPECT_EQ(client.answer().status, 408U);
}

TEST(Limits, ABodyThatTakesTooLongIs408) {
  ListenerOptions listener;
  listener.allow_body = true;
  const auto server = serve(echo, quick(), listener);
  Client client(server->port(0));
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(client.answer().status, 408U);
}

TEST(Limits, AnIdleConnectionIsClosedWithoutAWord) {
  const auto server = serve(echo, quick());
  Client fresh(server->port(0));
  Client used(server->port(0));
  used.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(used.answer().status, 200U);
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
}

TEST(Limits, AnIdleConnectionWithinTheLimitStays) {
  ServerOptions options;
  options.idle_timeout = 2s;
  const auto server = serve(echo, options);
  Client client(server->port(0));
  for (int i = 0; i < 5; ++i) {  // longer than the limit in all
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(client.answer().status, 200U);
    std::this_thread::sleep_for(500ms);
  }
}

Awaitable<Response> large(const Request&) {
  // More than the sockets' buffers hold.
  static const MemorySlice body = memory_slice(std::string(50'000'000, 'x'));  // NOLINT(bugprone-string-constructor): it is meant
  Response response;
  response.body = Body::of(Slice(body));
  co_return response;
}

Awaitable<Response> large_file(const Request&) {
  const int descriptor = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);  // sendfile takes as much of it as is asked for
  Response response;
  response.body = Body::of(Slice(FileSlice{std::make_shared<const File>(descriptor), 0, 1'000'000'000}));
  co_return response;
}

TEST(Limits, AClientThatNeverReadsIsCut) {
  for (const Handler& handler : {Handler(large), Handler(large_file)}) {
    Observations observations;
    ServerOptions options = quick();
    options.observer = observations.observer();
    const auto server = serve(handler, options);
    Client client(server->port(0));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(eventually([&] { return !observations.seen().empty() && server->connections() == 0; }, 30s));
    EXPECT_FALSE(observations.only().complete);
  }
}

// The kernel reports a socket writable when a third of its buffer is free, here after some seconds: longer than the limit.
TEST(Limits, AClientThatReadsSlowlyIsNotCut) {
  ServerOptions options = quick();
  options.send_timeout = 2s;
  const auto server = serve(large, options);
  Client client(server->port(0), 1 << 20);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::uint64_t got = 0;
  std::vector<char> bytes(40 << 10);
  for (int i = 0; i < 60; ++i) {
    const ssize_t taken = ::recv(client.socket(), bytes.data(), bytes.size(), 0);
    ASSERT_GT(taken, 0);
    got += static_cast<std::uint64_t>(taken);
    std::this_thread::sleep_for(100ms);
  }
  while (client.read_available() + got < 50'000'000 && client.receive()) {
  }
  EXPECT_GE(client.read_available() + got, 50'000'000U);
}

TEST(Limits, MoreConnectionsThanAllowedAreToldSo) {
  ServerOptions options;
  options.max_connections = 2;
  const auto server = serve(echo, options);
  Client first(server->port(0));
  auto second = std::make_unique<Client>(server->port(0));
  ASSERT_TRUE(eventually([&] { return server->connections() == 2; }));
  Client third(server->port(0));
  const Answer answer = third.answer();
  EXPECT_EQ(answer.status, 503U);
  EXPECT_EQ(answer.body, "too many connections\n");
  EXPECT_TRUE(third.closed_within(1s));
  second.reset();
  ASSERT_TRUE(eventually([&] { return server->connections() == 1; }));
  EXPECT_EQ(get(server->port(0)).status, 200U);
}

TEST(Limits, AThousandConnectionsAreServedAtOnce) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2500) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 2500);
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur < 2500) GTEST_SKIP() << "only " << files.rlim_cur << " open files are allowed here";
  ServerOptions options;
  options.threads = 2;
  const auto server = serve(echo, options);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(std::make_unique<Client>(server->port(0)));
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(clients[i]->send(fmt::format("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", i)));
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(clients[i]->answer().body, fmt::format("GET /{}\n", i));
  }
  EXPECT_EQ(server->connections(), 1000U);
  clients.clear();
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
}

TEST(Limits, WithoutFileDescriptorsAcceptingPausesAndGoesOn) {
  const auto server = serve(echo);
  Client waiting_later(server->port(0));
  waiting_later.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(waiting_later.answer().status, 200U);  // so it has been accepted
  ASSERT_EQ(server->connections(), 1U);
  std::vector<int> taken;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  // The client's descriptor is the last one that there is.
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(client) + 1;
  for (int descriptor = 0; descriptor < client; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) == -1) taken.push_back(::fcntl(client, F_DUPFD, descriptor));
  }
  ::setrlimit(RLIMIT_NOFILE, &none);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server->port(0));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::this_thread::sleep_for(150ms);
  EXPECT_EQ(server->connections(), 1U);
  waiting_later.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(waiting_later.answer().status, 200U);  // those who are in are served
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(eventually([&] { return server->connections() == 2; }));
  for (const int descriptor : taken) ::close(descriptor);
  ::close(client);
}

}  // namespace
}  // namespace cistern::http
