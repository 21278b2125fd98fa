// Addresses, URLs, proxies, retries: the rules without a network.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "cache-agent/upstream/address.hpp"
#include "cache-agent/upstream/proxy.hpp"
#include "cache-agent/upstream/retry.hpp"
#include "cache-agent/upstream/url.hpp"

namespace cistern::upstream {
namespace {

using namespace std::chrono_literals;

TEST(AddressScope, IsThatOfWherePacketsEndUp) {
  const auto expect = [](Scope scope, std::initializer_list<const char*> hosts) {
    for (const auto* host : hosts) EXPECT_EQ(scope_of_host(host), scope) << host;
  };
  expect(Scope::kPublic, {"8.8.8.8", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2606:4700::1", "[2606:4700::1]", "64:ff9b::808:808",
                          "::ffff:8.8.8.8", "2002:808:808::1"});
  expect(Scope::kPrivate, {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255", "198.18.0.1",
                           "fd12::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::808:808", "2002:a00:1::1", "fec0::1"});
  expect(Scope::kLoopback, {"127.0.0.1", "127.255.0.1", "0.0.0.0", "::1", "::", "[::1]", "::ffff:127.0.0.1", "::127.0.0.1", "localhost",
                            "a.LOCALHOST", "localhost."});
  expect(Scope::kNever, {"169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254",
                         "fd20:ce::254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
                         "2002:a9fe:a9fe::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1"});
  for (const auto* name : {"example.org", "notlocalhost", "10.0.0.1.example.org", ""}) EXPECT_FALSE(scope_of_host(name)) << name;
}

TEST(AddressScope, OfWhatIsNotIpIsNever) {
  sockaddr address{};
  address.sa_family = AF_UNIX;
  EXPECT_EQ(scope_of(&address), Scope::kNever);
}

TEST(Urls, HaveAnOriginInOneSpelling) {
  EXPECT_EQ(*origin_of("HTTPS://Registry.Example/v2"), (Origin{"https", "registry.example", 443}));
  EXPECT_EQ(*origin_of("http://registry.example:80"), *origin_of("http://registry.example"));
  EXPECT_EQ(origin_of("http://0x7f.1/")->host, "127.0.0.1");
  for (const auto* bad : {"ftp://a/", "http://u:p@a/", "a/b", "http://", ""}) EXPECT_FALSE(origin_of(bad)) << bad;
}

TEST(Urls, ResolveLocations) {
  EXPECT_EQ(*resolve("https://a.example/x/y?z", "../w"), "https://a.example/w");
  EXPECT_EQ(*resolve("https://a.example/x", "//b.example/y"), "https://b.example/y");
  EXPECT_EQ(*resolve("https://a.example/x", "/y#f"), "https://a.example/y");
  EXPECT_FALSE(resolve("https://a.example/x", "file:///etc/passwd"));
  EXPECT_FALSE(resolve("https://a.example/x", "https://u:p@b.example/"));
  EXPECT_EQ(without_query("https://a/b?sig=secret"), "https://a/b");
}

TEST(ProxyChoice, FollowsTheVariables) {
  const Proxies proxies{"http://plain:1", "http://secure:2", "http://all:3",
                        "corp.example, 10.0.0.0/8,[fd00::]/8,.dotted.example 192.168.0.1"};
  EXPECT_EQ(proxies.choose({"http", "go.example", 80}), "http://plain:1");
  EXPECT_EQ(proxies.choose({"https", "go.example", 443}), "http://secure:2");
  for (const auto* direct :
       {"corp.example", "a.CORP.example", "10.1.2.3", "[fd00::1]", "dotted.example", "x.dotted.example", "192.168.0.1"}) {
    EXPECT_EQ(proxies.choose({"http", direct, 80}), "") << direct;
  }
  for (const auto* other : {"notcorp.example", "11.1.2.3", "corp.example.org", "192.168.0.11"}) {
    EXPECT_NE(proxies.choose({"http", other, 80}), "") << other;
  }
  EXPECT_EQ((Proxies{"", "", "http://all:3", ""}.choose({"http", "a", 80})), "http://all:3");
  EXPECT_EQ((Proxies{"http://p", "", "", "*"}.choose({"http", "a", 80})), "");
}

TEST(ProxyChoice, IgnoresUpperCaseHttpProxy) {
  setenv("HTTP_PROXY", "http://evil", 1);
  setenv("HTTPS_PROXY", "http://good", 1);
  const auto proxies = Proxies::from_environment();
  EXPECT_EQ(proxies.http, "");
  EXPECT_EQ(proxies.https, "http://good");
  unsetenv("HTTP_PROXY");
  unsetenv("HTTPS_PROXY");
}

TEST(RetryRules, ReadRetryAfter) {
  const WallTime now{std::chrono::seconds(784111767)};  // ten seconds before the date below
  EXPECT_EQ(parse_retry_after("120", now), 120s);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), 10s);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + 60s), 0s);
  EXPECT_FALSE(parse_retry_after("", now));
  EXPECT_FALSE(parse_retry_after("soon", now));
}

TEST(RetryRules, BackOffWithFullJitter) {
  EXPECT_EQ(backoff(0, 100ms, 0.5), 50ms);
  EXPECT_EQ(backoff(3, 100ms, 0.5), 400ms);
  EXPECT_EQ(backoff(60, 100ms, 0.999), 4995ms);
  EXPECT_EQ(backoff(2, 100ms, 0), 0ms);
}

}  // namespace
}  // namespace cistern::upstream
