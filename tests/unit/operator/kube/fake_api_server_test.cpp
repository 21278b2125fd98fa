// The fake is to be like the real API server where tests rely on it; each of these was seen to hold of the real one, too.
#include <gmock/gmock.h>

#include "tests/fakes/api_server/selectors.hpp"
#include "tests/unit/operator/kube/fixture.hpp"

namespace cistern::kube {
namespace {

using fakes::ApiServer;

TEST(FakeApiServer, AWriteThatChangesNothingGivesNoNewVersion) {
  ApiServer server;
  const auto client = client_of(server);
  const Json object{{"metadata", {{"namespace", "x"}, {"name", "a"}}}, {"data", {{"k", "v"}}}};
  const auto first = client->apply(kConfigMaps, object);
  const auto second = client->apply(kConfigMaps, object);
  EXPECT_EQ(metadata(*first, "resourceVersion"), metadata(*second, "resourceVersion"));
}

TEST(FakeApiServer, OnlyTheSpecMovesTheGeneration) {
  ApiServer server;
  const auto client = client_of(server);
  const Json object{{"metadata", {{"name", "p"}}}, {"spec", {{"a", 1}}}};
  EXPECT_EQ(client->apply(kMirrorPolicies, object)->at("metadata").at("generation"), 1);
  const Json status{{"metadata", {{"name", "p"}}}, {"status", {{"b", 1}}}};
  EXPECT_EQ(client->apply(kMirrorPolicies, status, {.subresource = "status"})->at("metadata").at("generation"), 1);
  EXPECT_EQ(client->merge_patch(kMirrorPolicies, {"", "p"}, {{"metadata", {{"labels", {{"l", "1"}}}}}})->at("metadata").at("generation"),
            1);
  EXPECT_EQ(client->merge_patch(kMirrorPolicies, {"", "p"}, {{"spec", {{"a", 2}}}})->at("metadata").at("generation"), 2);
}

TEST(FakeApiServer, StatusIsWrittenByItsSubresourceOnly) {
  ApiServer server;
  server.put(kMirrorPolicies, {{"metadata", {{"name", "p"}}}, {"spec", {{"a", 1}}}, {"status", {{"s", 1}}}});
  const auto client = client_of(server);
  const auto main = client->merge_patch(kMirrorPolicies, {"", "p"}, {{"status", {{"s", 2}}}});
  EXPECT_EQ(main->at("status").at("s"), 1);
  const auto sub = client->merge_patch(kMirrorPolicies, {"", "p"}, {{"status", {{"s", 3}}}, {"spec", {{"a", 9}}}}, "status");
  EXPECT_EQ(sub->at("status").at("s"), 3);
  EXPECT_EQ(sub->at("spec").at("a"), 1);
}

TEST(FakeApiServer, AnObjectWithFinalizersWaitsForThem) {
  ApiServer server;
  server.put(kMirrorPolicies, {{"metadata", {{"name", "p"}, {"finalizers", {"cistern.dev/agents"}}}}});
  const auto client = client_of(server);
  ASSERT_TRUE(client->remove(kMirrorPolicies, {"", "p"}));
  EXPECT_FALSE(metadata(*client->get(kMirrorPolicies, {"", "p"}), "deletionTimestamp").empty());
  ASSERT_TRUE(client->merge_patch(kMirrorPolicies, {"", "p"}, {{"metadata", {{"finalizers", nullptr}}}}));
  EXPECT_EQ(client->get(kMirrorPolicies, {"", "p"}).error().code, ErrorCode::kNotFound);
}

TEST(FakeApiServer, ApplyTakesBackWhatIsNotAppliedAnyMoreAndLeavesTheRest) {
  ApiServer server;
  const auto client = client_of(server);
  Json object{{"metadata", {{"namespace", "x"}, {"name", "a"}, {"labels", {{"ours", "1"}, {"old", "1"}}}}}, {"data", {{"k", "v"}}}};
  ASSERT_TRUE(client->apply(kConfigMaps, object));
  ASSERT_TRUE(client->merge_patch(kConfigMaps, {"x", "a"}, {{"metadata", {{"labels", {{"theirs", "1"}}}}}}));
  object["metadata"]["labels"].erase("old");
  const auto applied = client->apply(kConfigMaps, object);
  EXPECT_EQ(applied->at("metadata").at("labels"), (Json{{"ours", "1"}, {"theirs", "1"}}));
}

TEST(FakeApiServer, ANamespaceIsAFolderAndAnObject) {
  ApiServer server;
  server.put(kNamespaces, {{"metadata", {{"name", "x"}}}});
  server.put(kPods, {{"metadata", {{"namespace", "x"}, {"name", "a"}}}});
  const auto client = client_of(server);
  EXPECT_EQ(client->get(kNamespaces, {"", "x"})->at("kind"), "Namespace");
  EXPECT_EQ(client->list(kPods, {"x", "", ""})->at("items").size(), 1U);
  EXPECT_EQ(client->get(kPods, {"x", "a"})->at("kind"), "Pod");
}

TEST(FakeApiServer, SelectsAsTheApiDoes) {
  const Json object{{"metadata", {{"name", "a"}, {"labels", {{"app", "one"}, {"tier", "x"}}}}}, {"spec", {{"nodeName", "n1"}}}};
  for (const char* selector :
       {"", "app=one", "app==one", "app!=two", "app in (one, two),tier=x", "app notin (two)", "app", "!none", "none!=x"}) {
    EXPECT_TRUE(fakes::matches_labels(object, selector)) << selector;
  }
  for (const char* selector : {"app=two", "app!=one", "app in (two)", "app notin (one)", "none", "!app", "app=one,tier=y", "none in (a)"}) {
    EXPECT_FALSE(fakes::matches_labels(object, selector)) << selector;
  }
  EXPECT_TRUE(fakes::matches_fields(object, "spec.nodeName=n1,metadata.name!=b"));
  EXPECT_FALSE(fakes::matches_fields(object, "spec.nodeName="));
}

TEST(FakeApiServer, TellsReadsFromWrites) {
  ApiServer server;
  const auto client = client_of(server);
  client->list(kNodes, {});
  client->get(kNodes, {"", "a"});
  client->create(kConfigMaps, config_map("x", "a"));
  EXPECT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(server.mutating_requests().size(), 1U);
  EXPECT_EQ(server.count("LIST", "/nodes"), 1U);
  EXPECT_EQ(server.count("GET", "/nodes"), 1U);
}

}  // namespace
}  // namespace cistern::kube
