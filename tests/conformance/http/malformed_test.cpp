// Requests that are wrong, too large, or mean more than one thing.
#include <array>
#include <random>
#include <vector>

#include "http_fixture.hpp"

namespace cistern::conformance {
namespace {

class HttpMalformed : public HttpTest {
 protected:
  struct Outcome {
    unsigned status = 0;  // of the first answer; 0: closed without one
    bool closed = false;  // and nothing came after it
  };
  Outcome send_raw(const std::string& bytes) const {
    Connection client(agent->node(), milliseconds(3000));
    client.send(bytes);
    const auto answer = client.read_answer();
    return {answer.status, client.closed_by_peer()};
  }
};

TEST_F(HttpMalformed, WhatCouldMeanTwoRequestsIsRefusedAndTheConnectionClosed) {
  start();
  const std::string second = "GET /go/example.com/smuggled/@v/list HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::vector<std::string> heads{
      "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\tchunked\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n",
      "HEAD /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 60\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: +60\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3c\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 60, 60\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551676\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n\tTransfer-Encoding: chunked\r\n\r\n",
      "GET /healthz HTTP/1.1\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
  };
  for (const auto& head : heads) {
    const auto outcome = send_raw(head + second);
    EXPECT_EQ(outcome.status, 400u) << head;
    EXPECT_TRUE(outcome.closed) << head;
    EXPECT_TRUE(agent->healthy());
  }
  EXPECT_EQ(upstream.count(), 0u) << "the second request was never seen";
}

TEST_F(HttpMalformed, WhatIsNotHttpIsRefusedOrClosed) {
  start();
  const std::string nul(1, '\0');
  const std::vector<std::string> texts{
      "nonsense\r\n\r\n",
      "\r\n\r\n\r\n\r\n nonsense\r\n\r\n",
      "GET\r\n\r\n",
      "GET /healthz\r\n\r\n",
      "GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n",
      "GET /healthz HTTP/1.1\nHost x\n\n",
      "GET /heal thz HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET //\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET healthz HTTP/1.1\r\nHost: x\r\n\r\n",
      "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
      "G" + nul + "T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a" + nul + "b\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(500, '\x07'),
  };
  for (const auto& text : texts) {
    Connection client(agent->node(), milliseconds(1500));
    client.send(text);
    const auto answer = client.read_answer();
    EXPECT_NE(answer.status, 200u) << text;
    EXPECT_TRUE(answer.status / 100 != 5 || answer.status == 505) << text << answer.status;
    client.close();
    EXPECT_TRUE(agent->healthy()) << text;
  }
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(HttpMalformed, RandomBytesNeverEndTheAgent) {
  start();
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    std::string bytes = i % 2 == 0 ? noise(random() % 3000, random())
                                   : "GET /v2/team/app/blobs/sha256:00?ns=docker.io HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n";
    for (int changes = 0; changes < 5 && !bytes.empty(); ++changes) bytes[random() % bytes.size()] = static_cast<char>(random());
    Connection client(agent->node());
    client.send(bytes);
  }
  EXPECT_TRUE(agent->healthy());
  EXPECT_TRUE(agent->running());
}

TEST_F(HttpMalformed, OversizedHeadsAreRefused) {
  start();
  for (const auto& text : {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + std::string(200000, 'a') + "\r\n\r\n",
                           "GET /" + std::string(200000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    Connection client(agent->node(), milliseconds(3000));
    client.send(text);
    const auto answer = client.read_answer();
    // A reset that overtakes the answer is all that the client may see while it still sends.
    if (answer.status != 0) {
      EXPECT_TRUE(answer.status == 431 || answer.status == 414) << answer.status;
    }
    EXPECT_TRUE(agent->healthy());
  }
  Connection client(agent->node(), milliseconds(3000));
  client.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + std::string(17000, 'a') + "\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 431u);
  std::string many = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 3000; ++i) many += "A: b\r\n";
  Connection other(agent->node(), milliseconds(3000));
  other.send(many + "\r\n");
  EXPECT_EQ(other.read_answer().status, 431u);
}

TEST_F(HttpMalformed, ALongButDecentHeadIsServed) {
  start();
  EXPECT_EQ(get(agent->node(), "/healthz", {{"X", std::string(8000, 'a')}}).status, 200u);
}

TEST_F(HttpMalformed, ABodyWhereNoneIsTakenIsRefused) {
  start();
  const auto outcome = send_raw(
      "POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /go/example.com/smuggled/@v/list "
      "HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(outcome.status / 100, 4u);
  EXPECT_TRUE(outcome.closed);
  EXPECT_EQ(upstream.count(), 0u);
}

}  // namespace
}  // namespace cistern::conformance
