#include <gtest/gtest.h>

#include "tests/fakes/http_client/http_client.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::fakes {
namespace {

Address address_of(const ScriptedUpstream& upstream) { return {"127.0.0.1", upstream.port()}; }

std::string token_of(const ScriptedUpstream& upstream, const Fields& headers = {}) {
  const auto body = get(address_of(upstream), "/token", headers).body;
  const auto start = body.find("token-");
  return start == std::string::npos ? "" : body.substr(start, body.find('"', start) - start);
}

TEST(UpstreamAuth, ChallengesAndAcceptsTheTokenItGave) {
  ScriptedUpstream upstream;
  upstream.require_bearer("/v2/");
  upstream.on("/v2/", Reply{.body = "in"});
  const auto refused = get(address_of(upstream), "/v2/");
  EXPECT_EQ(refused.status, 401u);
  EXPECT_NE(refused.header("WWW-Authenticate").find("realm=\"" + upstream.url() + "/token\""), std::string::npos);
  const auto token = token_of(upstream);
  EXPECT_EQ(get(address_of(upstream), "/v2/", {{"Authorization", "Bearer " + token}}).body, "in");
  EXPECT_EQ(get(address_of(upstream), "/v2/", {{"Authorization", "Bearer other"}}).status, 401u);
  upstream.expire_tokens();
  EXPECT_EQ(get(address_of(upstream), "/v2/", {{"Authorization", "Bearer " + token}}).status, 401u);
}

TEST(UpstreamAuth, GivesTokensOnlyForTheRightPassword) {
  ScriptedUpstream upstream;
  upstream.require_bearer("/v2/", {.username = "u", .password = "p"});
  EXPECT_EQ(token_of(upstream), "");
  EXPECT_NE(token_of(upstream, {{"Authorization", "Basic dTpw"}}), "");
}

TEST(UpstreamAuth, CanRefuseEveryToken) {
  ScriptedUpstream upstream;
  upstream.require_bearer("/v2/", {.accept = false});
  EXPECT_EQ(get(address_of(upstream), "/v2/", {{"Authorization", "Bearer " + token_of(upstream)}}).status, 401u);
}

TEST(UpstreamAuth, AsksForBasicCredentials) {
  ScriptedUpstream upstream;
  upstream.require_basic("/v2/", "u", "p");
  upstream.on("/v2/", Reply{.body = "in"});
  EXPECT_EQ(get(address_of(upstream), "/v2/").status, 401u);
  EXPECT_EQ(get(address_of(upstream), "/v2/", {{"Authorization", "Basic dTpw"}}).body, "in");
}

}  // namespace
}  // namespace cistern::fakes
