#include "http/listener.hpp"
#include "support.hpp"

namespace cistern::http {
namespace {

using namespace testing;

TEST(Addresses, AreHostAndPort) {
  const auto text = [](std::string_view address) {
    const auto endpoint = parse_endpoint(address);
    return endpoint ? fmt::format("{} {}", endpoint->address().to_string(), endpoint->port()) : std::string("refused");
  };
  EXPECT_EQ(text("127.0.0.1:5050"), "127.0.0.1 5050");
  EXPECT_EQ(text("[::1]:0"), "::1 0");
  EXPECT_EQ(text("localhost:1"), "127.0.0.1 1");
  for (const char* bad : {"", ":", "5050", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "[127.0.0.1]:80",
                          "host.example:80", "127.0.0.1:-1", ":5050"}) {
    EXPECT_EQ(text(bad), "refused") << bad;
  }
}

Error error_of(std::vector<std::string> addresses) {
  std::vector<ListenerOptions> listeners;
  for (std::string& address : addresses) {
    listeners.emplace_back();
    listeners.back().address = std::move(address);
    listeners.back().handler = echo;
  }
  const auto server = Server::open({}, std::move(listeners));
  return server ? Error{} : server.error();
}

TEST(Listening, OnAPortThatIsTakenNamesItAndSaysWhatToDo) {
  const auto server = serve(echo);  // with SO_REUSEPORT, which must not let a second server in
  const std::string address = fmt::format("127.0.0.1:{}", server->port(0));
  const Error error = error_of({"127.0.0.1:0", address});
  EXPECT_EQ(error.code, ErrorCode::kIo);
  EXPECT_EQ(error.message, address + " is already in use; another program listens there: stop it, or choose another port");
}

TEST(Listening, OnAForeignAddressSaysSo) {
  const Error error = error_of({"192.0.2.1:0"});
  EXPECT_EQ(error.code, ErrorCode::kIo);
  EXPECT_NE(error.message.find("192.0.2.1:0 is not an address of this machine"), std::string::npos) << error.message;
}

TEST(Listening, OnNonsenseIsInvalid) { EXPECT_EQ(error_of({"nonsense"}).code, ErrorCode::kInvalid); }

TEST(Listening, EachListenerHasItsHandler) {
  std::vector<ListenerOptions> listeners(2);
  listeners[0].address = listeners[1].address = "127.0.0.1:0";
  listeners[0].handler = [](const Request&) -> Awaitable<Response> { co_return Response::text(200, "first"); };
  listeners[1].handler = [](const Request&) -> Awaitable<Response> { co_return Response::text(200, "second"); };
  ServerOptions options;
  options.threads = 2;
  auto server = Server::open(options, std::move(listeners));
  ASSERT_TRUE(server);
  (*server)->start();
  EXPECT_EQ(get((*server)->port(0)).body, "first\n");
  EXPECT_EQ(get((*server)->port(1)).body, "second\n");
}

}  // namespace
}  // namespace cistern::http
