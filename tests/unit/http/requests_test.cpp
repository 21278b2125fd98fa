// Raw requests, and exactly what comes back.
#include <netinet/in.h>

#include <set>

#include "support.hpp"

namespace cistern::http {
namespace {

using namespace testing;

constexpr std::string_view kText = "Content-Type: text/plain; charset=utf-8\r\n";

std::string ok(std::string_view body, std::string_view connection = "", bool with_body = true) {
  return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n{}\r\n{}", kText, body.size(),
                     connection.empty() ? "" : fmt::format("Connection: {}\r\n", connection), with_body ? body : "");
}

std::string bad(std::string_view body) {
  return fmt::format("HTTP/1.1 400 Bad Request\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n{}", kText, body.size(), body);
}

struct Case {
  const char* name;
  std::string request;
  std::string response;
};

class RawRequests : public ::testing::TestWithParam<Case> {};

TEST_P(RawRequests, AreAnsweredToTheLetter) {
  const auto server = serve(echo);
  EXPECT_EQ(raw_exchange(server->port(0), GetParam().request), GetParam().response);
}

const std::string kLast = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    Requests, RawRequests,
    ::testing::Values(
        Case{"Get", kLast, ok("GET /last\n", "close")},
        Case{"KeepAlive", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" + kLast, ok("GET /1\n") + ok("GET /last\n", "close")},
        Case{"ThreeInOneSegment", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n" + kLast,
             ok("GET /1\n") + ok("GET /2\n") + ok("GET /last\n", "close")},
        Case{"HeadThenGet", "HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n" + kLast, ok("HEAD /1\n", "", false) + ok("GET /last\n", "close")},
        Case{"NothingAfterClose", kLast + kLast, ok("GET /last\n", "close")},
        Case{"Version10", "GET /1 HTTP/1.0\r\n\r\n", ok("GET /1\n", "close")},
        Case{"Version10KeepAlive", "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
             ok("GET /1\n", "keep-alive") + ok("GET /2\n", "close")},
        Case{"EmptyLineBetweenRequests", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\n" + kLast, ok("GET /1\n") + ok("GET /last\n", "close")},
        Case{"ExpectIsIgnored", "GET /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n" + kLast,
             ok("GET /1\n") + ok("GET /last\n", "close")},
        Case{"ContentLengthZero", "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + kLast,
             ok("GET /1\n") + ok("GET /last\n", "close")},
        Case{"OptionsAsterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
             "HTTP/1.1 405 Method Not Allowed\r\n" + std::string(kText) +
                 "Allow: GET, HEAD\r\nContent-Length: 30\r\nConnection: close\r\n\r\nonly GET and HEAD are allowed\n"}),
    [](const auto& test) { return test.param.name; });

// After each of these the next request in the segment must not be answered.
INSTANTIATE_TEST_SUITE_P(
    Smuggling, RawRequests,
    ::testing::Values(
        Case{"AlmostChunked", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + kLast,
             bad("a body is not allowed here\n")},
        Case{"GetWithBody", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /" + kLast, bad("a body is not allowed here\n")},
        Case{"TwoLengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" + kLast,
             bad("several Content-Length headers\n")},
        Case{"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + kLast, bad("several Host headers\n")},
        Case{"Folded", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n" + kLast, bad("folded header\n")},
        Case{"BareLineFeed", "GET / HTTP/1.1\r\nHost: a\n\n" + kLast, bad("a line must end with CR LF\n")},
        Case{"PutWithBody", "PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kLast.size()) + "\r\n\r\n" + kLast,
             ok("PUT /1\n", "close")},
        Case{"PutChunked", "PUT /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + kLast, ok("PUT /1\n", "close")},
        Case{"PostWhereNoBodyIsAllowed", "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" + kLast, ok("POST /1\n", "close")}),
    [](const auto& test) { return test.param.name; });

TEST(Requests, ThatArriveByteByByteAreUnderstood) {
  const auto server = serve(echo);
  Client client(server->port(0));
  for (const char c : std::string("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")) client.send(std::string(1, c));
  EXPECT_EQ(client.answer().body, "GET /slow\n");
}

TEST(Requests, WithALargeHeadLeaveTheConnectionUsable) {
  const auto server = serve(echo);
  Client client(server->port(0));
  for (int i = 0; i < 3; ++i) {
    client.send("GET /large HTTP/1.1\r\nHost: a\r\nX: " + std::string(15000, 'x') + "\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(client.answer().body, "GET /large\n");
    EXPECT_EQ(client.answer().body, "GET /small\n");
  }
}

TEST(Requests, ManyPipelinedAreAllAnsweredInOrder) {
  const auto server = serve(echo);
  Client client(server->port(0));
  std::string requests;
  for (int i = 0; i < 2000; ++i) requests += fmt::format("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", i);
  std::thread sender([&] { client.send(requests); });
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(client.answer().body, fmt::format("GET /{}\n", i));
  sender.join();
}

TEST(Requests, HaveTheClientsAddress) {
  const auto server = serve([](const Request& request) -> Awaitable<Response> { co_return Response::text(200, request.remote); });
  EXPECT_EQ(get(server->port(0)).body, "127.0.0.1\n");
}

TEST(Posts, BringTheirBodyWhereItIsAllowed) {
  ListenerOptions listener;
  listener.allow_body = true;
  const auto server = serve(echo, {}, listener);
  Client client(server->port(0));
  client.send("POST /purge HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
  std::this_thread::sleep_for(20ms);
  client.send("cdeGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.answer().body, "POST /purge abcde\n");
  EXPECT_EQ(client.answer().body, "GET /next\n");
  const std::string large(64 << 10, 'b');
  client.send("POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n" + large);
  EXPECT_EQ(client.answer().body, "POST /l " + large + "\n");
}

TEST(Posts, AreAsLargeAsTheListenerSaysAndNoLarger) {
  ListenerOptions listener;
  listener.allow_body = true;
  listener.max_body = mib(3);
  const auto server =
      serve([](const Request& request) -> Awaitable<Response> { co_return Response::text(200, request.body); }, {}, listener);
  std::string large(3 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + (i * 2654435761U >> 13) % 26);
  Client client(server->port(0));
  for (const std::size_t size : {large.size(), std::size_t{1}, std::size_t{100'000}, std::size_t{0}}) {
    const auto body = large.substr(0, size);
    std::thread sender([&] { client.send(fmt::format("POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", size) + body); });
    EXPECT_TRUE(client.answer().body == body + "\n") << size;
    sender.join();
  }
  client.send(fmt::format("POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", large.size() + 1));
  EXPECT_EQ(client.answer().status, 413U);
}

TEST(Posts, ThatEndEarlyAreNoRequest) {
  ListenerOptions listener;
  listener.allow_body = true;
  std::atomic<int> handled = 0;
  const auto server = serve(
      [&handled](const Request& request) {
        ++handled;
        return echo(request);
      },
      {}, listener);
  {
    Client client(server->port(0));
    client.send("POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + std::string(49999, 'x'));
  }
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
  EXPECT_EQ(handled, 0);
}

TEST(Posts, ThatExpectToBeAskedForTheirBodyAreAsked) {
  ListenerOptions listener;
  listener.allow_body = true;
  const auto server = serve(echo, {}, listener);
  Client client(server->port(0));
  client.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer(true).status, 100U);
  client.send("ok");
  EXPECT_EQ(client.answer().body, "POST /p ok\n");
}

Awaitable<Response> throw_something(const Request&) {
  throw std::runtime_error("secret detail");
  co_return Response{};
}

TEST(Handlers, ThatThrowAreAnsweredWith500AndTheConnectionGoesOn) {
  const auto server = serve(throw_something);
  Client client(server->port(0));
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer answer = client.answer();
    EXPECT_EQ(answer.status, 500U);
    EXPECT_EQ(answer.body, "internal error\n");
  }
}

TEST(Observer, IsToldOfEachRequestAndOfWhatIsNone) {
  Observations observations;
  ServerOptions options;
  options.observer = observations.observer();
  const auto server = serve(echo, options);
  raw_exchange(server->port(0), "GET /a HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n");
  ASSERT_TRUE(eventually([&] { return observations.seen().size() == 2; }));
  const auto seen = observations.seen();
  EXPECT_TRUE(seen[0].parsed && seen[0].complete);
  EXPECT_EQ(seen[0].status, 200U);
  EXPECT_EQ(seen[0].sent_bytes, 7U);
  EXPECT_FALSE(seen[1].parsed);
  EXPECT_EQ(seen[1].status, 400U);
}

std::mutex threads_mutex;
std::map<std::string, std::set<std::thread::id>> threads_of_connection;

Awaitable<Response> note_thread(const Request& request) {
  const std::lock_guard lock(threads_mutex);
  threads_of_connection[request.target].insert(std::this_thread::get_id());
  co_return Response::text(200, "x");
}

TEST(Threads, AConnectionStaysOnTheOneThatAcceptedItAndAllOfThemWork) {
  threads_of_connection.clear();
  ServerOptions options;
  options.threads = 3;
  const auto server = serve(note_thread, options);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(std::make_unique<Client>(server->port(0)));
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 60; ++i) clients[i]->send(fmt::format("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", i));
    for (int i = 0; i < 60; ++i) ASSERT_EQ(clients[i]->answer().status, 200U);
  }
  std::set<std::thread::id> used;
  for (const auto& [target, ids] : threads_of_connection) {
    EXPECT_EQ(ids.size(), 1U) << target;
    used.insert(ids.begin(), ids.end());
  }
  EXPECT_EQ(threads_of_connection.size(), 60U);
  EXPECT_EQ(used.size(), 3U);
}

}  // namespace
}  // namespace cistern::http
