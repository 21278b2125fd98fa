#include <gmock/gmock.h>

#include "tests/unit/operator/kube/fixture.hpp"

namespace cistern::kube {
namespace {

using fakes::ApiServer;
using fakes::Fault;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

TEST(Client, GetsWhatIsThere) {
  ApiServer server;
  server.put(kNodes, node("a"));
  const auto client = client_of(server);
  const auto found = client->get(kNodes, {"", "a"});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(metadata(*found, "name"), "a");
  EXPECT_EQ(server.requests().at(0).path, "/api/v1/nodes/a");
  EXPECT_EQ(fakes::field(server.requests().at(0).headers, "User-Agent"), "cistern-test/1");
}

TEST(Client, NamesVerbResourceAndObjectInErrors) {
  ApiServer server;
  const auto client = client_of(server);
  const auto found = client->get(kPods, {"x", "a"});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(found.error().message, "get pods x/a: 404: pods \"a\" not found");
}

TEST(Client, RefusesAnObjectWithoutNameOrNamespace) {
  ApiServer server;
  const auto client = client_of(server);
  EXPECT_EQ(client->get(kNodes, {}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(client->remove(kPods, {"", "a"}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(client->remove(kPods, {"x", ""}).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(server.requests().empty());
}

TEST(Client, TurnsEachStatusIntoAnErrorThatOneCanActOn) {
  ApiServer server;
  const auto client = client_of(server);
  const std::pair<unsigned, ErrorCode> cases[] = {
      {400, ErrorCode::kInvalid}, {401, ErrorCode::kForbidden}, {403, ErrorCode::kForbidden}, {404, ErrorCode::kNotFound},
      {405, ErrorCode::kInvalid}, {408, ErrorCode::kTimeout},   {409, ErrorCode::kConflict},  {410, ErrorCode::kGone},
      {422, ErrorCode::kInvalid}, {500, ErrorCode::kUpstream},  {502, ErrorCode::kUpstream},  {503, ErrorCode::kUpstream},
      {504, ErrorCode::kTimeout},
  };
  for (const auto& [status, code] : cases) {
    server.add_fault({.status = status, .message = "because"});
    const auto found = client->get(kNodes, {"", "a"});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, code) << status;
    EXPECT_EQ(found.error().message, fmt::format("get nodes a: {}: because", status));
  }
}

TEST(Client, AnAppliedFieldThatIsNotOfItsTypeIsInvalidThoughTheServerSays500) {
  ApiServer server;
  for (const auto* message : {"failed to create typed patch object (x/a; v1, Kind=ConfigMap): .data.b: field not declared in schema",
                              "failed to convert new object (x/a; v1, Kind=ConfigMap) to proper version: quantities must match"}) {
    server.add_fault({.status = 500, .message = message});
    const auto applied = client_of(server)->apply(kConfigMaps, config_map("x", "a"));
    EXPECT_EQ(applied.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(applied.error().message, HasSubstr(message));
  }
  server.add_fault({.status = 500, .message = "etcd has no leader"});
  EXPECT_EQ(client_of(server)->apply(kConfigMaps, config_map("x", "a")).error().code, ErrorCode::kUpstream);
}

TEST(Client, ListsPageByPage) {
  ApiServer server({.page_limit = 3});
  for (int i = 0; i < 10; ++i) server.put(kNodes, node("n" + std::to_string(i)));
  const auto client = client_of(server);
  const auto list = client->list(kNodes, {});
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->at("items").size(), 10U);
  EXPECT_FALSE(list->at("metadata").contains("continue"));
  EXPECT_EQ(server.count("LIST", "/api/v1/nodes"), 4U);
  EXPECT_EQ(server.requests().at(0).parameter("limit"), "500");
  EXPECT_EQ(server.requests().at(0).parameter("resourceVersion"), "");
}

TEST(Client, StartsAListAgainWhenItsContinueTokenHasExpired) {
  ApiServer server({.page_limit = 3});
  for (int i = 0; i < 10; ++i) server.put(kNodes, node("n" + std::to_string(i)));
  server.add_fault({.method = "LIST", .skip = 1, .status = 410});
  const auto client = client_of(server);
  const auto list = client->list(kNodes, {});
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->at("items").size(), 10U);
  EXPECT_EQ(server.requests().at(2).parameter("continue"), "");
}

TEST(Client, AsksForTheWholeListWhenTokensExpireAgainAndAgain) {
  ApiServer server({.page_limit = 3});
  for (int i = 0; i < 10; ++i) server.put(kNodes, node("n" + std::to_string(i)));
  server.add_fault({.method = "LIST", .skip = 1, .status = 410});
  server.add_fault({.method = "LIST", .skip = 2, .status = 410});
  const auto client = client_of(server);
  const auto list = client->list(kNodes, {});
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->at("items").size(), 10U);
  EXPECT_EQ(server.requests().back().parameter("limit"), "");
}

TEST(Client, ListsBySelectorInOneNamespace) {
  ApiServer server;
  server.put(kPods, {{"metadata", {{"name", "a"}, {"namespace", "x"}, {"labels", {{"app", "one"}}}}}});
  server.put(kPods, {{"metadata", {{"name", "b"}, {"namespace", "x"}, {"labels", {{"app", "two"}}}}}});
  server.put(kPods, {{"metadata", {{"name", "a"}, {"namespace", "y"}, {"labels", {{"app", "one"}}}}}});
  const auto client = client_of(server);
  EXPECT_EQ(client->list(kPods, {"x", "app in (one,three)", ""})->at("items").size(), 1U);
  EXPECT_EQ(client->list(kPods, {"", "app=one", ""})->at("items").size(), 2U);
  EXPECT_EQ(client->list(kPods, {"", "", "metadata.name=b"})->at("items").size(), 1U);
}

TEST(Client, CreatesOnce) {
  ApiServer server;
  const auto client = client_of(server);
  ASSERT_TRUE(client->create(kConfigMaps, config_map("x", "a", {{"k", "v"}})));
  EXPECT_EQ(client->create(kConfigMaps, config_map("x", "a")).error().code, ErrorCode::kConflict);
  EXPECT_EQ(server.object(kConfigMaps, {"x", "a"})->at("data").at("k"), "v");
  EXPECT_EQ(server.requests().at(0).parameter("fieldManager"), "cistern");
}

TEST(Client, ReplacesOnlyTheNewestVersion) {
  ApiServer server;
  auto old = server.put(kConfigMaps, config_map("x", "a", {{"k", "1"}}));
  server.put(kConfigMaps, config_map("x", "a", {{"k", "2"}}));
  const auto client = client_of(server);
  EXPECT_EQ(client->replace(kConfigMaps, old).error().code, ErrorCode::kConflict);
  auto now = client->get(kConfigMaps, {"x", "a"});
  (*now)["data"]["k"] = "3";
  EXPECT_TRUE(client->replace(kConfigMaps, *now));
  EXPECT_EQ(server.object(kConfigMaps, {"x", "a"})->at("data").at("k"), "3");
}

TEST(Client, AppliesAsCisternByForce) {
  ApiServer server;
  const auto client = client_of(server);
  Json object{{"metadata", {{"namespace", "x"}, {"name", "a"}}}, {"data", {{"one", "1"}, {"two", "2"}}}};
  ASSERT_TRUE(client->apply(kConfigMaps, object));
  object["data"].erase("two");
  ASSERT_TRUE(client->apply(kConfigMaps, object));
  EXPECT_EQ(server.object(kConfigMaps, {"x", "a"})->at("data"), (Json{{"one", "1"}}));
  const auto request = server.requests().at(0);
  EXPECT_EQ(request.method, "PATCH");
  EXPECT_EQ(request.query, "fieldManager=cistern&force=true");
  EXPECT_EQ(fakes::field(request.headers, "Content-Type"), "application/apply-patch+yaml");
  EXPECT_EQ(Json::parse(request.body).at("kind"), "ConfigMap");
}

TEST(Client, AppliesStatusToItsSubresource) {
  ApiServer server;
  server.put(kMirrorPolicies, {{"metadata", {{"name", "p"}}}, {"spec", {{"a", 1}}}});
  const auto client = client_of(server);
  const Json status{{"metadata", {{"name", "p"}}}, {"status", {{"agents", 3}}}};
  ASSERT_TRUE(client->apply(kMirrorPolicies, status, {.subresource = "status"}));
  EXPECT_EQ(server.object(kMirrorPolicies, {"", "p"})->at("status").at("agents"), 3);
  EXPECT_EQ(server.object(kMirrorPolicies, {"", "p"})->at("spec").at("a"), 1);
  const Json missing{{"metadata", {{"name", "q"}}}, {"status", {{"agents", 3}}}};
  EXPECT_EQ(client->apply(kMirrorPolicies, missing, {.subresource = "status"}).error().code, ErrorCode::kNotFound);
}

TEST(Client, PatchesByMerge) {
  ApiServer server;
  server.put(kNodes, node("a", {{"keep", "1"}, {"drop", "2"}}));
  const auto client = client_of(server);
  ASSERT_TRUE(client->merge_patch(kNodes, {"", "a"}, {{"metadata", {{"labels", {{"drop", nullptr}, {"new", "3"}}}}}}));
  EXPECT_EQ(server.object(kNodes, {"", "a"})->at("metadata").at("labels"), (Json{{"keep", "1"}, {"new", "3"}}));
}

TEST(Client, RemovesOnlyTheObjectThatIsMeant) {
  ApiServer server;
  const auto stored = server.put(kConfigMaps, config_map("x", "a"));
  const auto client = client_of(server);
  EXPECT_EQ(client->remove(kConfigMaps, {"x", "a"}, {.uid = "another"}).error().code, ErrorCode::kConflict);
  EXPECT_TRUE(client->remove(kConfigMaps, {"x", "a"}, {.uid = metadata(stored, "uid"), .propagation = "Foreground"}));
  EXPECT_EQ(client->remove(kConfigMaps, {"x", "a"}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Json::parse(server.requests().at(1).body).at("propagationPolicy"), "Foreground");
}

TEST(Client, WaitsAsLongAsTheServerAsks) {
  ApiServer server;
  server.put(kNodes, node("a"));
  server.add_fault({.status = 429, .retry_after = 1});
  server.add_fault({.status = 503, .retry_after = 1});
  const auto client = client_of(server);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(client->get(kNodes, {"", "a"}));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, seconds(2));
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST(Client, DoesNotHammerAServerThatAsksForNoPause) {
  ApiServer server;
  server.add_fault({.times = 0, .status = 429, .retry_after = 0});
  const auto client = client_of(server, {}, seconds(2));
  const auto found = client->get(kNodes, {"", "a"});
  EXPECT_EQ(found.error().code, ErrorCode::kTooManyRequests);
  EXPECT_EQ(found.error().retry_after, seconds(1));
  EXPECT_LE(server.requests().size(), 2U);
}

TEST(Client, NobodyIsPutOffForADay) {
  ApiServer server;
  server.add_fault({.status = 429, .retry_after = 86400});
  EXPECT_EQ(client_of(server)->get(kNodes, {"", "a"}).error().retry_after, seconds(300));
}

TEST(Client, DoesNotWaitLongerThanItsLimit) {
  ApiServer server;
  server.add_fault({.status = 429, .retry_after = 60});
  const auto client = client_of(server, {}, seconds(2));
  const auto begin = std::chrono::steady_clock::now();
  const auto found = client->get(kNodes, {"", "a"});
  EXPECT_EQ(found.error().code, ErrorCode::kTooManyRequests);
  EXPECT_EQ(found.error().retry_after, seconds(60));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
}

TEST(Client, TimesOutWhenThereIsNoAnswer) {
  ApiServer server;
  server.add_fault({.silent = true});
  const auto client = client_of(server, {}, seconds(1));
  const auto begin = std::chrono::steady_clock::now();
  const auto found = client->get(kNodes, {"", "a"});
  EXPECT_EQ(found.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(found.error().message, HasSubstr("no answer within 1s"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1800));
}

TEST(Client, TriesAgainAfterAReset) {
  ApiServer server;
  server.put(kNodes, node("a"));
  server.add_fault({.times = 2, .reset = true});
  const auto client = client_of(server);
  const auto found = client->get(kNodes, {"", "a"});
  EXPECT_TRUE(found) << found.error().message;
}

TEST(Client, DoesNotCreateAgainWhatMayHaveBeenCreated) {
  ApiServer server;
  server.add_fault({.method = "POST", .lose_answer = true});
  const auto client = client_of(server);
  EXPECT_EQ(client->create(kConfigMaps, config_map("x", "a")).error().code, ErrorCode::kUpstream);
  EXPECT_EQ(server.count("POST", ""), 1U);
  EXPECT_TRUE(server.object(kConfigMaps, {"x", "a"}));
}

TEST(Client, ComesBackWhenTheServerDoes) {
  ApiServer server;
  server.put(kNodes, node("a"));
  const auto client = client_of(server);
  ASSERT_TRUE(client->get(kNodes, {"", "a"}));
  server.go_down();
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(300));
    server.come_up();
  });
  const auto found = client->get(kNodes, {"", "a"});
  EXPECT_TRUE(found) << found.error().message;
  later.join();
}

TEST(Client, SaysWhereNobodyListens) {
  ApiServer server;
  server.go_down();
  const auto client = client_of(server, {}, seconds(2));
  const auto found = client->get(kNodes, {"", "a"});
  EXPECT_EQ(found.error().code, ErrorCode::kUpstream);
  EXPECT_THAT(found.error().message, HasSubstr(server.url()));
}

TEST(Client, SurvivesAPooledConnectionThatTheServerHasClosed) {
  ApiServer server;
  server.put(kNodes, node("a"));
  const auto client = client_of(server);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client->merge_patch(kNodes, {"", "a"}, {{"metadata", {{"labels", {{"n", std::to_string(i)}}}}}}));
    server.go_down();
    server.come_up();
    ASSERT_TRUE(client->create(kConfigMaps, config_map("x", "a" + std::to_string(i))));
  }
}

TEST(Client, UsesConnectionsAgain) {
  ApiServer server;
  server.put(kNodes, node("a"));
  const auto client = client_of(server);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client->get(kNodes, {"", "a"}));
  EXPECT_LE(server.connections(), 4U);  // an answer may be here before its connection is back in the pool
}

TEST(Client, DoesNotTakeNonsenseForAnAnswer) {
  ApiServer server;
  server.add_fault({.raw = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"});
  const auto client = client_of(server);
  EXPECT_EQ(client->get(kNodes, {"", "a"}).error().code, ErrorCode::kUpstream);
}

TEST(Client, DoesNotQuoteTheAnswerAboutASecret) {
  ApiServer server;
  server.add_fault({.status = 422, .reason = "Invalid", .message = "data[token]: Invalid value: \"hunter2\""});
  const auto client = client_of(server);
  const auto applied = client->apply(kSecrets, {{"metadata", {{"namespace", "x"}, {"name", "s"}}}});
  EXPECT_EQ(applied.error().message, "apply secrets x/s: 422: Invalid");
}

TEST(Client, SendsTextThatIsNoUtf8WithoutFallingOver) {
  ApiServer server;
  const auto client = client_of(server);
  EXPECT_TRUE(client->create(kConfigMaps, config_map("x", "a", {{"k", "\xff"}})));
}

TEST(Client, ReadsTheServersVersion) {
  ApiServer server;
  const auto version = client_of(server)->server_version();
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_EQ(*version, (Version{1, 34}));
  EXPECT_GE(*version, (Version{1, 30}));
}

TEST(Client, AVersionInAnotherFormIsAnError) {
  ApiServer server;
  const std::string body = R"({"major": 1, "minor": 34})";
  server.add_fault({.raw = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body)});
  EXPECT_EQ(client_of(server)->server_version().error().code, ErrorCode::kUpstream);
}

TEST(Client, IsInterruptedAtTheEndOfTheProgram) {
  ApiServer server;
  server.add_fault({.times = 0, .silent = true});
  const auto client = client_of(server, {}, seconds(30));
  std::thread later([&] {
    server.wait_for("GET", "/nodes", 1);
    client->interrupt();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(client->get(kNodes, {"", "a"}).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(client->list(kNodes, {}).error().code, ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(3));
  later.join();
}

TEST(Client, ServesManyThreadsAtOnce) {
  ApiServer server;
  server.put(kNodes, node("a"));
  const auto client = client_of(server, {}, seconds(20));
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) good += client->get(kNodes, {"", "a"}).has_value() ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(good, 16 * 20);
}

}  // namespace
}  // namespace cistern::kube
