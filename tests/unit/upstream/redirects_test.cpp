// Redirects, and the addresses they may lead to; proxies.
#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/unit/upstream/harness.hpp"
#include "tests/unit/upstream/raw_server.hpp"

namespace cistern::upstream {
namespace {

// 127.0.0.2 stands for an address of the internet, 127.0.0.3 for a metadata service.
Scope pretended_scope(const sockaddr* address) {
  if (address->sa_family != AF_INET) return scope_of(address);
  const auto ip = ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
  if (ip == 0x7f000002) return Scope::kPublic;
  return ip == 0x7f000003 ? Scope::kNever : scope_of(address);
}

class UpstreamRedirects : public Harness {
 protected:
  static Reply to(const std::string& location, unsigned status = 302) {
    return Reply{.status = status, .headers = {{"Location", location}}, .body = "moved"};
  }
  ScriptedUpstream server_;
  ScriptedUpstream storage_;
};

TEST_F(UpstreamRedirects, AreFollowedRelativeAndAbsolute) {
  server_.on("/a/x", to("../b?q=1", 307));
  server_.on("/b?q=1", to(storage_.url() + "/c?sig=secret", 308));
  storage_.on("/c", Reply{.body = "there"});
  const auto got = get(upstream(server_.url()), "/a/x");
  EXPECT_EQ(got.body, "there");
  EXPECT_EQ(got.head.url, storage_.url() + "/c");
}

TEST_F(UpstreamRedirects, CarryNoCredentialsToAnotherPort) {
  config::Upstream configuration;
  configuration.credentials = config::Credentials{"user", "password", ""};
  server_.on("/home", to("/next"));
  server_.on("/next", to(storage_.url() + "/c"));
  storage_.on("/c", to(server_.url() + "/back"));
  server_.on("/back", Reply{.body = "there"});
  EXPECT_EQ(get(upstream(server_.url(), configuration), "/home").body, "there");
  EXPECT_NE(server_.asked("/next").at(0).header("Authorization"), "");
  EXPECT_EQ(storage_.asked("/c").at(0).header("Authorization"), "");
  EXPECT_EQ(server_.asked("/back").at(0).header("Authorization"), "") << "once dropped they stay dropped";
}

TEST_F(UpstreamRedirects, InALoopEnd) {
  server_.on("/x", to("/x"));
  EXPECT_FAILS(get(upstream(server_.url()), "/x"), ErrorCode::kUpstream);
  EXPECT_EQ(server_.count(), 11U);
}

TEST_F(UpstreamRedirects, ToOtherSchemesUsersOrLinkLocalAddressesAreForbidden) {
  for (const std::string location :
       {"ftp://127.0.0.1/x", "file:///etc/passwd", "http://user:pw@127.0.0.1/", "http://169.254.169.254/latest", "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/", "http://2852039166/"}) {
    server_.on("/x", to(location));
    EXPECT_FAILS(get(upstream(server_.url()), "/x"), ErrorCode::kForbidden);
  }
}

TEST_F(UpstreamRedirects, FromAPublicUpstreamReachNoLoopbackByNameOrByAReusedConnection) {
  const auto inner = "http://inner.test:" + std::to_string(storage_.port());
  const RawServer outer(
      [&inner](int socket) {
        while (!receive_head(socket).empty()) {
          send_all(socket, "HTTP/1.1 302 Found\r\nLocation: " + inner + "/secret\r\nContent-Length: 0\r\n\r\n");
        }
      },
      "127.0.0.2");
  const auto port = std::to_string(outer.port());
  options_.address_rule = &pretended_scope;
  options_.resolve = {"public.test:" + port + ":127.0.0.2", "inner.test:" + std::to_string(storage_.port()) + ":127.0.0.1"};
  storage_.on("/secret", Reply{.body = "secret"});
  const auto from = upstream("http://public.test:" + port);
  EXPECT_FAILS(get(from, "/x"), ErrorCode::kForbidden);
  EXPECT_EQ(storage_.connections(), 0U);
  // An upstream that is itself inside may be asked, and leaves a connection in the pool, which is not the public one's to use.
  EXPECT_EQ(get(upstream(inner), "/secret").body, "secret");
  EXPECT_FAILS(get(from, "/x"), ErrorCode::kForbidden);
  EXPECT_EQ(storage_.count(), 1U);
}

TEST_F(UpstreamRedirects, ANameThatResolvesToAMetadataServiceIsNotConnectedTo) {
  options_.address_rule = &pretended_scope;
  options_.resolve = {"evil.test:80:127.0.0.3"};
  EXPECT_FAILS(get(upstream("http://evil.test"), "/x"), ErrorCode::kForbidden);
}

TEST_F(UpstreamRedirects, AnExpiredSignedUrlIsAskedForAgain) {
  server_.on("/blob", {to(storage_.url() + "/old"), to(storage_.url() + "/new")});
  storage_.on("/old", Reply{.status = 403, .body = "expired"});
  storage_.on("/new", Reply{.body = "bytes"});
  EXPECT_EQ(get(upstream(server_.url()), "/blob").body, "bytes");
  // And only once.
  server_.on("/blob", to(storage_.url() + "/old"));
  storage_.forget();
  EXPECT_EQ(get(upstream(server_.url()), "/blob").head.status, 403U);
  EXPECT_EQ(storage_.count(), 2U);
}

TEST_F(UpstreamRedirects, OfAPeerAreHandedOver) {
  server_.on("/x", to("/y"));
  settings_.retries = 3;
  const auto peer = client().peer(server_.authority(), settings_);
  EXPECT_EQ(get(peer, "/x").head.status, 302U);
  server_.on("/x", Reply{.status = 503});
  server_.forget();
  EXPECT_EQ(get(peer, "/x").head.status, 503U);
  EXPECT_EQ(server_.count(), 1U) << "a peer is asked once";
  EXPECT_EQ(peer->name(), "peer");
}

TEST_F(UpstreamRedirects, AProxyGetsTheWholeUrl) {
  options_.proxies.http = server_.url();
  server_.on_prefix("http://", [](const fakes::Asked&) { return Reply{.body = "by proxy"}; });
  const auto got = get(upstream("http://go.example"), "/m/@v/list");
  EXPECT_EQ(got.body, "by proxy");
  EXPECT_EQ(server_.asked().at(0).target, "http://go.example/m/@v/list");
}

TEST_F(UpstreamRedirects, AProxyIsNotAWayToAMetadataService) {
  options_.proxies.http = server_.url();
  EXPECT_FAILS(get(upstream("http://169.254.169.254"), "/latest"), ErrorCode::kForbidden);
  EXPECT_EQ(server_.count(), 0U);
}

TEST_F(UpstreamRedirects, AProxyIsLeftOutForThoseItIsNotFor) {
  options_.proxies.http = "http://127.0.0.1:1";
  options_.proxies.none = "127.0.0.0/8";
  server_.on("/x", Reply{.body = "direct"});
  EXPECT_EQ(get(upstream(server_.url()), "/x").body, "direct");
}

}  // namespace
}  // namespace cistern::upstream
