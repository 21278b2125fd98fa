// Challenges, tokens, credentials and where they may go.
#include "oci_fixture.hpp"

namespace cistern::conformance {
namespace {

class OciTokens : public OciTest {
 protected:
  static bool has_credentials(const std::vector<Asked>& requests) {
    for (const auto& one : requests) {
      if (!one.header("Authorization").empty()) return true;
    }
    return false;
  }
  const Image image = make_image({100000, 200000});
  const std::string by_tag = manifest_target("team/app", "v1");
  const std::string layer = blob_target("team/app", image.layers[0].digest);
  const std::string other_layer = blob_target("team/app", image.layers[1].digest);
};

TEST_F(OciTokens, AnAnonymousTokenIsFetchedOnceAndUsedForTheWholeImage) {
  publish(hub, "team/app", "v1", image);
  hub.require_bearer("/v2/");
  start();
  EXPECT_EQ(ask(by_tag).status, 200u);
  EXPECT_TRUE(ask(layer).body == image.layers[0].bytes);
  EXPECT_TRUE(ask(other_layer).body == image.layers[1].bytes);
  const auto tokens = hub.asked("/token");
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_NE(tokens[0].target.find("service=scripted"), std::string::npos) << tokens[0].target;
  EXPECT_NE(tokens[0].target.find("team"), std::string::npos) << "the scope names the repository: " << tokens[0].target;
  EXPECT_EQ(tokens[0].header("Authorization"), "");
}

TEST_F(OciTokens, CredentialsGoToTheRealmAndTheTokenToTheRegistry) {
  publish(hub, "team/app", "v1", image);
  hub.require_bearer("/v2/", {.username = "user", .password = "secret"});
  start_with_credentials();
  EXPECT_EQ(ask(by_tag).status, 200u);
  EXPECT_TRUE(ask(layer).body == image.layers[0].bytes);
  ASSERT_GE(hub.asked("/token").size(), 1u);
  EXPECT_EQ(hub.asked("/token")[0].header("Authorization"), "Basic dXNlcjpzZWNyZXQ=");
}

TEST_F(OciTokens, BasicIsAnsweredToo) {
  publish(hub, "team/app", "v1", image);
  hub.require_basic("/v2/", "user", "secret");
  start_with_credentials();
  EXPECT_EQ(ask(by_tag).status, 200u);
}

TEST_F(OciTokens, Case12_ATokenThatExpiresMidImageIsReplaced) {
  publish(hub, "team/app", "v1", image);
  hub.require_bearer("/v2/");
  start();
  EXPECT_EQ(ask(by_tag).status, 200u);
  EXPECT_TRUE(ask(layer).body == image.layers[0].bytes);
  hub.expire_tokens();
  const auto answer = ask(other_layer);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_TRUE(answer.body == image.layers[1].bytes);
  EXPECT_EQ(hub.count("GET", "/token"), 2u);
}

TEST_F(OciTokens, ATokenIsNotUsedBeyondItsLifetime) {
  publish(hub, "team/app", "v1", image);
  hub.require_bearer("/v2/", {.expires_in = 1});
  start();
  EXPECT_EQ(ask(by_tag).status, 200u);
  std::this_thread::sleep_for(milliseconds(1200));
  EXPECT_TRUE(ask(layer).body == image.layers[0].bytes);
  EXPECT_GE(hub.count("GET", "/token"), 2u);
}

TEST_F(OciTokens, ATokenWithoutALifetimeWorks) {
  publish(hub, "team/app", "v1", image);
  hub.require_bearer("/v2/", {.expires_in = {}});
  start();
  EXPECT_EQ(ask(by_tag).status, 200u);
  EXPECT_EQ(ask(layer).status, 200u);
  EXPECT_EQ(hub.count("GET", "/token"), 1u);
}

TEST_F(OciTokens, Case13_EndlessChallengesAreBoundedAndNotPassedOn) {
  publish(hub, "team/app", "v1", image);
  hub.require_bearer("/v2/", {.accept = false});
  start();
  const auto answer = ask(by_tag);
  EXPECT_EQ(answer.status, 403u);
  EXPECT_FALSE(has_field(answer.headers, "WWW-Authenticate")) << "the runtime would answer with a pod's pull secret";
  EXPECT_LE(hub.count("GET", "/token"), 4u);
  EXPECT_LE(hub.count(), 12u);
  const auto blob = ask(layer);
  EXPECT_EQ(blob.status, 403u);
  EXPECT_FALSE(has_field(blob.headers, "WWW-Authenticate"));
}

TEST_F(OciTokens, Case14_AForeignRealmGetsNoCredentials) {
  ScriptedUpstream foreign;
  foreign.on("/token", Reply{.headers = {{"Content-Type", "application/json"}}, .body = R"({"token":"stolen"})"});
  publish(hub, "team/app", "v1", image);
  // Another host name, which happens to be this machine too.
  hub.require_bearer("/v2/",
                     {.realm = "http://localhost:" + std::to_string(foreign.port()) + "/token", .username = "user", .password = "secret"});
  start_with_credentials();
  EXPECT_EQ(ask(by_tag).status, 403u);
  EXPECT_FALSE(has_credentials(foreign.asked()));
}

TEST_F(OciTokens, ARealmThatThePolicyNamesGetsThem) {
  ScriptedUpstream realm;
  realm.on("/token", Reply{.headers = {{"Content-Type", "application/json"}}, .body = R"({"token":"good"})"});
  publish(hub, "team/app", "v1", image);
  hub.require_bearer(
      "/v2/",
      {.realm = "http://localhost:" + std::to_string(realm.port()) + "/token", .username = "user", .password = "secret", .accept = false});
  start_with_credentials("authHosts: [localhost]");
  ask(by_tag);
  ASSERT_GE(realm.asked("/token").size(), 1u);
  EXPECT_EQ(realm.asked("/token")[0].header("Authorization"), "Basic dXNlcjpzZWNyZXQ=");
}

TEST_F(OciTokens, Case15_ARedirectToStorageCarriesNoAuthorization) {
  ScriptedUpstream storage;
  storage.on("/signed", blob_reply(image.layers[0]));
  publish(hub, "team/app", "v1", image);
  hub.on(layer, Reply{.status = 307, .headers = {{"Location", storage.url() + "/signed?sig=abc"}}});
  hub.require_bearer("/v2/", {.username = "user", .password = "secret"});
  start_with_credentials();
  EXPECT_TRUE(ask(layer).body == image.layers[0].bytes);
  ASSERT_EQ(storage.asked("/signed").size(), 1u);
  EXPECT_FALSE(has_credentials(storage.asked()));
}

TEST_F(OciTokens, ASignedUrlThatHasExpiredIsAskedForAgain) {
  ScriptedUpstream storage;
  auto cut = blob_reply(image.layers[1]);
  cut.cut_after = 100000;
  storage.on("/signed?sig=1", {cut, Reply{.status = 403}});
  storage.on("/signed?sig=2", blob_reply(image.layers[1]));
  setup.retries = 3;
  hub.on(other_layer, {Reply{.status = 307, .headers = {{"Location", storage.url() + "/signed?sig=1"}}},
                       Reply{.status = 307, .headers = {{"Location", storage.url() + "/signed?sig=2"}}}});
  start();
  const auto answer = ask(other_layer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == image.layers[1].bytes);
  EXPECT_EQ(hub.count("GET", other_layer), 2u);
}

TEST_F(OciTokens, ARedirectToAMetadataAddressIsNotFollowed) {
  for (const auto* location :
       {"http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "file:///etc/passwd", "gopher://127.0.0.1/"}) {
    hub.on(layer, Reply{.status = 302, .headers = {{"Location", location}}});
    if (!agent) start();
    const auto start = std::chrono::steady_clock::now();
    const auto answer = ask(layer);
    EXPECT_TRUE(answer.status == 502 || answer.status == 403) << location << ": " << answer.status;
    EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(2000)) << "refused, not tried";
  }
}

TEST_F(OciTokens, ARedirectFromTlsToPlainTextIsNotFollowed) {
  ScriptedUpstream secure(ScriptedUpstream::Tls::kSelfSigned);
  ScriptedUpstream plain;
  plain.on("/blob", blob_reply(image.layers[0]));
  secure.on(layer, Reply{.status = 302, .headers = {{"Location", plain.url() + "/blob"}}});
  start(registry("docker.io", secure, "insecureSkipVerify: true"));
  EXPECT_NE(ask(layer).status, 200u);
  EXPECT_EQ(plain.count(), 0u);
}

TEST_F(OciTokens, RedirectsInACircleAreBounded) {
  hub.on(layer, Reply{.status = 302, .headers = {{"Location", layer}}});
  start();
  EXPECT_EQ(ask(layer).status / 100, 5u);
  EXPECT_LE(hub.count(), 30u);
}

TEST_F(OciTokens, AClientsOwnAuthorizationIsNeverForwarded) {
  publish(hub, "team/app", "v1", image);
  start();
  EXPECT_EQ(ask(by_tag, {{"Authorization", "Bearer mine"}, {"Cookie", "mine"}}).status, 200u);
  EXPECT_EQ(ask(layer, {{"Authorization", "Bearer mine"}}).status, 200u);
  EXPECT_FALSE(has_credentials(hub.asked()));
  for (const auto& one : hub.asked()) EXPECT_EQ(one.header("Cookie"), "");
}

TEST_F(OciTokens, AnUpstreamOverTlsIsTrustedByItsCaFileOnly) {
  ScriptedUpstream secure(ScriptedUpstream::Tls::kSelfSigned);
  publish(secure, "team/app", "v1", image);
  configure(registry("docker.io", secure, "caFile: ca.crt") + ", " + registry("quay.io", secure) + ", " +
            registry("lax.test", secure, "insecureSkipVerify: true"));
  agent->add_file("ca.crt", secure.certificate());
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(ask(by_tag).status, 200u);
  EXPECT_EQ(ask(by_tag, {}, "quay.io").status, 502u);
  EXPECT_EQ(ask(by_tag, {}, "lax.test").status, 200u);
}

TEST_F(OciTokens, ASecretReachesNeitherLogNorStatusNorErrors) {
  publish(hub, "team/app", "v1", image);
  hub.require_bearer("/v2/", {.username = "user", .password = "other"});
  start_with_credentials();
  const auto answer = ask(by_tag);
  EXPECT_NE(answer.status, 200u);
  for (const auto& text : {answer.body, agent->log(), get(agent->admin(), "/metrics").body, get(agent->admin(), "/status").body}) {
    EXPECT_EQ(text.find("secret"), std::string::npos);
    EXPECT_EQ(text.find("dXNlcjpzZWNyZXQ"), std::string::npos);
  }
}

}  // namespace
}  // namespace cistern::conformance
