// Challenges answered: Basic, and the token flow of registries.
#include "tests/unit/upstream/harness.hpp"

namespace cistern::upstream {
namespace {

class UpstreamCredentials : public Harness {
 protected:
  UpstreamCredentials() {
    configuration_.credentials = config::Credentials{"user", "password", ""};
    server_.on("/v2/a/manifests/1", Reply{.body = "manifest"});
    server_.on("/v2/b/manifests/1", Reply{.body = "other"});
  }
  static Ask pull(const std::string& repository) {
    auto what = ask("/v2/" + repository + "/manifests/1");
    what.scope = "repository:" + repository + ":pull";
    return what;
  }
  unsigned with_authorization(ScriptedUpstream& server) {
    unsigned count = 0;
    for (const auto& asked : server.asked()) count += asked.header("Authorization").empty() ? 0 : 1;
    return count;
  }

  ScriptedUpstream server_;
  config::Upstream configuration_;
};

TEST_F(UpstreamCredentials, ATokenIsFetchedOnceAndUsedFromThenOn) {
  server_.require_bearer("/v2/", {.username = "user", .password = "password"});
  const auto from = upstream(server_.url(), configuration_);
  EXPECT_EQ(get(from, pull("a")).body, "manifest");
  EXPECT_EQ(get(from, pull("a")).body, "manifest");
  EXPECT_EQ(server_.count("GET", "/token"), 1U);
  EXPECT_EQ(server_.count("GET", "/v2/a/manifests/1"), 3U);
  EXPECT_THAT(server_.asked("/token").at(0).target, testing::HasSubstr("scope=repository%3Aa%3Apull"));
}

TEST_F(UpstreamCredentials, EachRepositoryHasItsOwnToken) {
  server_.require_bearer("/v2/", {});
  const auto from = upstream(server_.url());
  EXPECT_EQ(get(from, pull("a")).body, "manifest");
  EXPECT_EQ(get(from, pull("b")).body, "other");
  EXPECT_EQ(server_.count("GET", "/token"), 2U);
}

TEST_F(UpstreamCredentials, AnExpiredTokenIsReplacedAfterOneNewChallenge) {
  server_.require_bearer("/v2/", {});
  const auto from = upstream(server_.url());
  EXPECT_EQ(get(from, pull("a")).body, "manifest");
  server_.expire_tokens();
  EXPECT_EQ(get(from, pull("a")).body, "manifest");
  EXPECT_EQ(server_.count("GET", "/token"), 2U);
}

TEST_F(UpstreamCredentials, ManyWhoNeedATokenShareOneFetch) {
  server_.require_bearer("/v2/", {});
  const auto from = upstream(server_.url());
  unsigned served = 0;
  for (int i = 0; i < 20; ++i) {
    asio::co_spawn(context_, fetch(from, pull("a")),
                   [&](const std::exception_ptr&, const Got& got) { served += got.body == "manifest" ? 1 : 0; });
  }
  context_.restart();
  context_.run();
  EXPECT_EQ(served, 20U);
  EXPECT_EQ(server_.count("GET", "/token"), 1U);
}

TEST_F(UpstreamCredentials, An401ThatATokenDoesNotCureIsTheAnswer) {
  server_.require_bearer("/v2/", {.accept = false});
  const auto got = get(upstream(server_.url()), pull("a"));
  EXPECT_EQ(got.head.status, 401U);
  EXPECT_EQ(server_.count("GET", "/v2/a/manifests/1"), 2U);
  EXPECT_EQ(server_.count("GET", "/token"), 1U);
}

TEST_F(UpstreamCredentials, WrongCredentialsLeaveThe401) {
  server_.require_bearer("/v2/", {.username = "user", .password = "another"});
  EXPECT_EQ(get(upstream(server_.url(), configuration_), pull("a")).head.status, 401U);
}

TEST_F(UpstreamCredentials, AForeignRealmIsAskedWithoutCredentials) {
  ScriptedUpstream foreign;
  foreign.on("/token", Reply{.body = R"({"token": "anonymous"})"});
  server_.require_bearer("/v2/", {.realm = "http://localhost:" + std::to_string(foreign.port()) + "/token", .accept = false});
  EXPECT_EQ(get(upstream(server_.url(), configuration_), pull("a")).head.status, 401U);
  EXPECT_EQ(foreign.count("GET", "/token"), 1U);
  EXPECT_EQ(with_authorization(foreign), 0U);
}

TEST_F(UpstreamCredentials, ARealmAmongAuthHostsGetsThem) {
  ScriptedUpstream foreign;
  foreign.on("/token", Reply{.body = R"({"access_token": "t"})"});
  server_.require_bearer("/v2/", {.realm = "http://localhost:" + std::to_string(foreign.port()) + "/token", .accept = false});
  configuration_.auth_hosts = {"localhost"};
  get(upstream(server_.url(), configuration_), pull("a"));
  EXPECT_EQ(foreign.asked("/token").at(0).header("Authorization"), "Basic dXNlcjpwYXNzd29yZA==");
  EXPECT_EQ(server_.asked("/v2/a/manifests/1").at(1).header("Authorization"), "Bearer t");
}

TEST_F(UpstreamCredentials, ATokenServiceThatFailsIsTheUpstreamsFailure) {
  ScriptedUpstream foreign;
  foreign.on("/token", Reply{.status = 500});
  settings_.retries = 0;
  server_.require_bearer("/v2/", {.realm = foreign.url() + "/token"});
  EXPECT_FAILS(get(upstream(server_.url()), pull("a")), ErrorCode::kUpstream);
}

TEST_F(UpstreamCredentials, BasicIsSentToARegistryAfterItsChallengeAndThenAtOnce) {
  server_.require_basic("/v2/", "user", "password");
  const auto from = upstream(server_.url(), configuration_);
  EXPECT_EQ(get(from, pull("a")).body, "manifest");
  EXPECT_EQ(server_.count(), 2U);
  EXPECT_EQ(get(from, pull("b")).body, "other");
  EXPECT_EQ(server_.count(), 3U);
}

TEST_F(UpstreamCredentials, AGoProxyGetsItsCredentialsAtOnce) {
  server_.require_basic("/", "user", "password");
  server_.on("/m/@v/list", Reply{.body = "v1.0.0"});
  EXPECT_EQ(get(upstream(server_.url(), configuration_), "/m/@v/list").body, "v1.0.0");
  EXPECT_EQ(server_.count(), 1U);
}

TEST_F(UpstreamCredentials, ATokenOfTheConfigurationIsSentAsItIs) {
  server_.on("/m/@v/list", Reply{.body = "v1.0.0"});
  configuration_.credentials = config::Credentials{"", "", "secret"};
  get(upstream(server_.url(), configuration_), "/m/@v/list");
  EXPECT_EQ(server_.asked().at(0).header("Authorization"), "Bearer secret");
}

}  // namespace
}  // namespace cistern::upstream
