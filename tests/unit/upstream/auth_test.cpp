// Challenges, token requests and answers; the cache of tokens.
#include "cache-agent/upstream/auth.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache-agent/upstream/tokens.hpp"
#include "tests/fakes/manual_clock.hpp"

namespace cistern::upstream {
namespace {

using namespace std::chrono_literals;

std::vector<Challenge> challenges(std::initializer_list<const char*> values) {
  http::Headers headers;
  for (const auto* value : values) headers.add("www-authenticate", value);
  return parse_challenges(headers);
}

TEST(Challenges, OfRegistries) {
  const auto list =
      challenges({R"(Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push")"});
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].scheme, "bearer");
  EXPECT_EQ(list[0].parameters.at("realm"), "https://auth.example/token");
  EXPECT_EQ(list[0].parameters.at("scope"), "repository:a/b:pull,push");
}

TEST(Challenges, SeveralInOneFieldAndInSeveral) {
  const auto list =
      challenges({R"(Negotiate, NTLM YWJj==, Basic realm = "a \"quoted\" one" , charset=UTF-8, BEARER Realm=plain)", "Digest qop=auth"});
  ASSERT_EQ(list.size(), 5U);
  EXPECT_EQ(list[0].scheme, "negotiate");
  EXPECT_EQ(list[1].scheme, "ntlm");
  EXPECT_EQ(list[2].parameters.at("realm"), "a \"quoted\" one");
  EXPECT_EQ(list[2].parameters.at("charset"), "UTF-8");
  EXPECT_EQ(list[3].parameters.at("realm"), "plain");
  EXPECT_EQ(list[4].scheme, "digest");
}

TEST(Challenges, NonsenseEnds) {
  for (const auto* text : {"", ",,,", "=", "\"", "Bearer realm=\"unterminated", "Bearer =x", "\x01", "Bearer realm", "a=b=c=d"})
    challenges({text});
  EXPECT_EQ(challenges({"Bearer realm=\"open"}).at(0).parameters.at("realm"), "open");
}

class TokenRequests : public testing::Test {
 protected:
  Result<TokenRequest> make(const std::string& realm, const std::string& upstream = "https://registry.example") {
    return token_request({"bearer", {{"realm", realm}, {"service", "s p"}, {"scope", "theirs"}}}, scope_, *origin_of(upstream),
                         configuration_);
  }
  std::string scope_ = "repository:a:pull";
  config::Upstream configuration_ = [] {
    config::Upstream upstream;
    upstream.credentials = config::Credentials{"u", "p", ""};
    return upstream;
  }();
};

TEST_F(TokenRequests, NameServiceAndScope) {
  EXPECT_EQ(make("https://registry.example/token")->url(), "https://registry.example/token?service=s%20p&scope=repository%3Aa%3Apull");
  scope_ = "";
  EXPECT_EQ(make("https://registry.example/token?x=1")->url(), "https://registry.example/token?x=1&service=s%20p&scope=theirs");
}

TEST_F(TokenRequests, CarryCredentialsToTheUpstreamsHostAndItsAuthHostsOnly) {
  EXPECT_TRUE(make("https://REGISTRY.example/token")->with_credentials);
  EXPECT_TRUE(make("https://registry.example:8443/token")->with_credentials);
  EXPECT_FALSE(make("https://auth.example/token")->with_credentials);
  EXPECT_FALSE(make("https://registry.example.evil/token")->with_credentials);
  configuration_.auth_hosts = {"auth.example", "other.example:8443"};
  EXPECT_TRUE(make("https://auth.example/token")->with_credentials);
  EXPECT_TRUE(make("https://other.example:8443/token")->with_credentials);
  EXPECT_FALSE(make("https://other.example/token")->with_credentials);
}

TEST_F(TokenRequests, AreNotMadeOverHttpForHttps) {
  EXPECT_EQ(make("http://registry.example/token").error().code, ErrorCode::kForbidden);
  EXPECT_TRUE(make("http://registry.example/token", "http://registry.example"));
  EXPECT_EQ(make("ftp://registry.example/token").error().code, ErrorCode::kForbidden);
  EXPECT_EQ(make("https://u:p@registry.example/token").error().code, ErrorCode::kForbidden);
}

TEST(TokenAnswers, AreGoodForTheirTimeLessALittle) {
  const SteadyTime now{1000s};
  EXPECT_EQ(parse_token(R"({"token":"a","expires_in":300})", now)->until, now + 290s);
  EXPECT_EQ(parse_token(R"({"access_token":"a"})", now)->until, now + 54s);
  EXPECT_EQ(parse_token(R"({"token":"","access_token":"b","expires_in":0})", now)->value, "b");
  for (const auto* bad : {"", "[]", "{}", R"({"token":5})", "{"})
    EXPECT_EQ(parse_token(bad, now).error().code, ErrorCode::kUpstream) << bad;
}

class TokenCache : public testing::Test {
 protected:
  struct Service {
    unsigned fetches = 0;
    bool fails = false;
    std::chrono::milliseconds takes{5};
  };
  static Awaitable<Result<Token>> issue(Service* service, SteadyTime until) {
    const auto number = ++service->fetches;
    asio::steady_timer timer(co_await asio::this_coro::executor, service->takes);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (service->fails) co_return fail(ErrorCode::kUpstream, "no");
    co_return Token{std::to_string(number), until};
  }
  void ask(asio::io_context& context, const std::string& key) {
    auto fetch = [this] { return issue(&service_, clock_.steady() + 60s); };
    asio::co_spawn(context, tokens_.get(key, fetch),
                   [this](const std::exception_ptr&, Result<std::string> token) { got_.push_back(token ? *token : "error"); });
  }
  std::vector<std::string> got() { return std::exchange(got_, {}); }

  fakes::ManualClock clock_;
  Tokens tokens_{clock_};
  Service service_;
  std::vector<std::string> got_;
};

TEST_F(TokenCache, OneFetchForAllUntilItExpires) {
  asio::io_context context;
  for (int i = 0; i < 3; ++i) ask(context, "k");
  ask(context, "other");
  context.run();
  EXPECT_THAT(got(), testing::UnorderedElementsAre("1", "1", "1", "2"));
  clock_.advance(61s);
  EXPECT_FALSE(tokens_.cached("k"));
  context.restart();
  ask(context, "k");
  context.run();
  EXPECT_THAT(got(), testing::ElementsAre("3"));
}

TEST_F(TokenCache, AFailureIsEverybodysAndNotKept) {
  asio::io_context context;
  service_.fails = true;
  ask(context, "k");
  ask(context, "k");
  context.run();
  EXPECT_THAT(got(), testing::ElementsAre("error", "error"));
  service_.fails = false;
  context.restart();
  ask(context, "k");
  context.run();
  EXPECT_THAT(got(), testing::ElementsAre("2"));
}

TEST_F(TokenCache, WhoeverFetchesMayGoAway) {
  service_.takes = 1h;
  auto gone = std::make_unique<asio::io_context>();
  ask(*gone, "k");
  gone->poll();
  asio::io_context context;
  ask(context, "k");
  context.poll();
  EXPECT_EQ(service_.fetches, 1U);
  service_.takes = 1ms;
  gone.reset();
  context.restart();
  context.run();
  EXPECT_THAT(got(), testing::ElementsAre("2"));
}

TEST_F(TokenCache, ARefusedTokenIsForgottenButNotItsSuccessor) {
  asio::io_context context;
  ask(context, "k");
  context.run();
  tokens_.refused("k", "an older one");
  EXPECT_EQ(tokens_.cached("k"), "1");
  tokens_.refused("k", "1");
  EXPECT_FALSE(tokens_.cached("k"));
}

}  // namespace
}  // namespace cistern::upstream
