// Slow clients, clients that leave, several requests on one connection.
#include <vector>

#include "http_fixture.hpp"

namespace cistern::conformance {
namespace {

class HttpConnections : public HttpTest {};

TEST_F(HttpConnections, ARequestThatDoesNotEndIsTimedOut) {
  setup.server = "headerTimeout: 500ms";
  start();
  Connection client(agent->node(), milliseconds(4000));
  const auto start = std::chrono::steady_clock::now();
  client.send("GET /healthz HTTP/1.1\r\nHost:");
  const auto text = client.read_to_end();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(3000));
  EXPECT_TRUE(text.empty() || text.find(" 408 ") != std::string::npos) << text;
  EXPECT_TRUE(agent->healthy());
}

TEST_F(HttpConnections, ARequestThatTricklesIsTimedOutToo) {
  setup.server = "headerTimeout: 500ms";
  start();
  Connection client(agent->node(), milliseconds(4000));
  const auto start = std::chrono::steady_clock::now();
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + std::string(200, 'a');
  for (const char c : request) {
    if (!client.send(std::string(1, c))) break;
    std::this_thread::sleep_for(milliseconds(20));
    if (std::chrono::steady_clock::now() - start > milliseconds(3500)) break;
  }
  const auto text = client.read_to_end();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
  EXPECT_EQ(text.find(" 200 "), std::string::npos) << text;
}

TEST_F(HttpConnections, AnIdleConnectionIsClosed) {
  setup.server = "idleTimeout: 500ms";
  start();
  Connection client(agent->node(), milliseconds(4000));
  client.ask("GET", "/healthz");
  EXPECT_EQ(client.read_answer().status, 200u);
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_F(HttpConnections, PipelinedRequestsAreAnsweredInOrder) {
  const Blob first(noise(100000, 1)), second(noise(1000, 2));
  upstream.on(target_of(first), blob_reply(first));
  upstream.on(target_of(second), blob_reply(second));
  start();
  Connection client(agent->node());
  const auto one = "GET " + target_of(first) + "?ns=docker.io HTTP/1.1\r\nHost: x\r\n\r\n";
  const auto two = "HEAD " + target_of(first) + "?ns=docker.io HTTP/1.1\r\nHost: x\r\n\r\n";
  const auto three = "GET " + target_of(second) + "?ns=docker.io HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(one + two + three + one);
  EXPECT_TRUE(client.read_answer().body == first.bytes);
  EXPECT_EQ(client.read_answer(true).header("Content-Length"), "100000");
  EXPECT_TRUE(client.read_answer().body == second.bytes);
  EXPECT_TRUE(client.read_answer().body == first.bytes);
}

TEST_F(HttpConnections, AConnectionIsKeptOrClosedAsTheClientWants) {
  start();
  Connection kept(agent->node());
  for (int i = 0; i < 20; ++i) {
    kept.ask("GET", "/healthz");
    EXPECT_EQ(kept.read_answer().status, 200u);
  }
  kept.ask("GET", "/healthz", {{"Connection", "close"}});
  EXPECT_EQ(kept.read_answer().status, 200u);
  EXPECT_TRUE(kept.closed_by_peer());
  Connection old(agent->node());
  old.send("GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n");
  EXPECT_EQ(old.read_answer().status, 200u);
  EXPECT_TRUE(old.closed_by_peer());
}

TEST_F(HttpConnections, AConnectionLivesOnAfterErrorsThatAreNotItsFault) {
  start();
  Connection client(agent->node());
  client.ask("GET", "/no/such/thing");
  EXPECT_EQ(client.read_answer().status, 404u);
  client.ask("GET", "/go/example.com/none/@v/list");
  EXPECT_EQ(client.read_answer().status, 404u);
  client.ask("GET", "/healthz");
  EXPECT_EQ(client.read_answer().status, 200u);
}

TEST_F(HttpConnections, ClientsThatLeaveInTheMiddleDoNoHarm) {
  const Blob blob(noise(8 << 20, 3));
  upstream.on(target_of(blob), blob_reply(blob));
  start();
  EXPECT_EQ(get(agent->node(), target_of(blob) + "?ns=docker.io").status, 200u);
  for (int i = 0; i < 50; ++i) {
    Connection client(agent->node());
    client.ask("GET", target_of(blob) + "?ns=docker.io");
    if (i % 2 == 0) {
      auto answer = client.read_head();
      client.read_body(answer, 10000);
    }
  }
  EXPECT_TRUE(get(agent->node(), target_of(blob) + "?ns=docker.io").body == blob.bytes);
}

TEST_F(HttpConnections, ManyConnectionsThatDoNothingDoNotKeepOthersOut) {
  start();
  std::vector<std::unique_ptr<Connection>> idle;
  for (int i = 0; i < 500; ++i) idle.push_back(std::make_unique<Connection>(agent->node()));
  EXPECT_TRUE(agent->healthy());
}

TEST_F(HttpConnections, MoreConnectionsThanAllowedAreTurnedAway) {
  setup.server = "maxConnections: 20";
  start();
  std::vector<std::unique_ptr<Connection>> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(std::make_unique<Connection>(agent->node(), milliseconds(2000)));
  std::this_thread::sleep_for(milliseconds(100));
  const auto answer = get(agent->node(), "/healthz");
  EXPECT_TRUE(answer.status == 503 || answer.status == 0) << answer.status;
  idle.clear();
  EXPECT_TRUE(eventually([&] { return agent->healthy(); }));
}

}  // namespace
}  // namespace cistern::conformance
