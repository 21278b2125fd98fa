#include "operator/reconcile/apply.hpp"

#include <gtest/gtest.h>

#include "operator/reconcile/trim.hpp"
#include "tests/unit/operator/reconcile/recording_client.hpp"

namespace cistern::reconcile {
namespace {

Json service(const std::string& name = "s") {
  return Json{{"metadata",
               {{"name", name},
                {"namespace", "ns"},
                {"uid", "u1"},
                {"labels", {{"app.kubernetes.io/managed-by", "cistern"}, {"cistern.dev/policy", "default"}}}}},
              {"spec", {{"ports", Json::array({{{"port", 5050}}})}}}};
}

TEST(Contains, AMapMayHaveMore) {
  EXPECT_TRUE(contains(Json::parse(R"({"a": 1, "b": {"c": 2, "d": 3}})"), Json::parse(R"({"b": {"c": 2}})")));
  EXPECT_FALSE(contains(Json::parse(R"({"b": {"d": 3}})"), Json::parse(R"({"b": {"c": 2}})")));
  EXPECT_FALSE(contains(Json::parse(R"({"b": {"c": 4}})"), Json::parse(R"({"b": {"c": 2}})")));
}

TEST(Contains, AListHasAsManyAndEachHasWhatIsWanted) {
  EXPECT_TRUE(contains(Json::parse(R"([{"a": 1, "defaulted": true}])"), Json::parse(R"([{"a": 1}])")));
  EXPECT_FALSE(contains(Json::parse(R"([{"a": 1}, {"a": 2}])"), Json::parse(R"([{"a": 1}])")));
}

TEST(Contains, WhatSaysNothingMayBeMissing) {
  EXPECT_TRUE(contains(Json::object(), Json::parse(R"({"a": {}, "b": [], "c": false, "d": 0, "e": "", "f": null})")));
  EXPECT_FALSE(contains(Json::parse(R"({"c": true})"), Json::parse(R"({"c": false})")));
  EXPECT_FALSE(contains(Json::object(), Json::parse(R"({"c": true})")));
}

class ApplyTest : public testing::Test {
 protected:
  Result<bool> apply(const Json& wanted) { return applier_.apply(kube::kServices, wanted, live_); }
  void take_answer() { live_ = std::make_shared<const Json>(client_.last_answer); }

  RecordingClient client_;
  Applier applier_{client_};
  Object live_;
};

TEST_F(ApplyTest, WritesWhatIsNotThereAndThenNothingMore) {
  EXPECT_EQ(apply(service()), true);
  take_answer();
  EXPECT_EQ(apply(service()), false);
  EXPECT_EQ(client_.applied.size(), 1U);
}

TEST_F(ApplyTest, WritesAgainWhatSomebodyChanged) {
  apply(service());
  auto edited = client_.last_answer;
  edited["spec"]["ports"][0]["port"] = 80;
  live_ = std::make_shared<const Json>(edited);
  EXPECT_EQ(apply(service()), true);
}

// As the API server tells of somebody who added a field with kubectl.
Json with_addition(Json object) {
  object["spec"]["sessionAffinity"] = "ClientIP";
  object["metadata"]["managedFields"] = Json::parse(R"([
    {"manager": "cistern", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ports": {}}}},
    {"manager": "kubectl-patch", "operation": "Update", "fieldsV1": {"f:spec": {"f:sessionAffinity": {}}}},
    {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
    {"manager": "labeller", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
    {"manager": "kubectl-rollout", "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {}}}}])");
  return object;
}

TEST_F(ApplyTest, TakesAwayWhatSomebodyAdded) {
  client_.answer = with_addition;
  apply(service());
  ASSERT_EQ(client_.replaced.size(), 1U);
  EXPECT_FALSE(client_.replaced[0]["spec"].contains("sessionAffinity"));
  EXPECT_TRUE(client_.replaced[0]["metadata"].contains("managedFields")) << "or each of its fields would become one of an update's";
}

TEST_F(ApplyTest, SeesWhatSomebodyAddedInTheObjectAsTheCacheKeepsIt) {
  apply(service());
  auto edited = with_addition(client_.last_answer);
  trim_object(edited);
  EXPECT_EQ(edited["metadata"][kOthers], Json::array({"kubectl-patch"}));
  live_ = std::make_shared<const Json>(edited);
  client_.answer = with_addition;
  EXPECT_EQ(apply(service()), true);
  EXPECT_EQ(client_.replaced.size(), 1U);
  auto left = client_.last_answer;
  trim_object(left);
  live_ = std::make_shared<const Json>(left);
  EXPECT_EQ(apply(service()), false) << "what can not be taken away is not tried for ever";
}

TEST_F(ApplyTest, AMemberThatIsNotWantedAnyMoreIsAChange) {
  auto with = service();
  with["spec"]["sessionAffinity"] = "ClientIP";
  apply(with);
  take_answer();
  EXPECT_EQ(apply(service()), true);
}

TEST_F(ApplyTest, ANewOperatorKnowsWhatTheOldOneApplied) {
  auto with = service();
  with["spec"]["sessionAffinity"] = "ClientIP";
  apply(with);
  take_answer();
  Applier next(client_);
  EXPECT_EQ(next.apply(kube::kServices, with, live_), false);
  EXPECT_EQ(next.apply(kube::kServices, service(), live_), true);
}

TEST_F(ApplyTest, WhatTheServerWritesInAnotherFormIsWrittenOnce) {
  client_.answer = [](Json object) {
    object["spec"]["ports"][0]["port"] = "5050";
    object["metadata"]["resourceVersion"] = "12";
    return object;
  };
  EXPECT_EQ(apply(service()), true);
  take_answer();
  EXPECT_EQ(apply(service()), false);
  // And again once somebody has changed it.
  auto edited = *live_;
  edited["spec"]["ports"][0]["port"] = "1";
  live_ = std::make_shared<const Json>(edited);
  EXPECT_EQ(apply(service()), true);
}

TEST_F(ApplyTest, DoesNotTakeOverWhatSomebodyElseHasMade) {
  const Json theirs{{"metadata", {{"name", "s"}, {"namespace", "ns"}}}, {"spec", {{"type", "LoadBalancer"}}}};
  live_ = std::make_shared<const Json>(theirs);
  const auto refused = apply(service());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(refused.error().message, "Service ns/s is there already and is not Cistern's; rename or delete it, as Cistern needs the name");
  // Neither if the cache, which has only what is labelled, does not know of it.
  live_ = nullptr;
  client_.stored = theirs;
  EXPECT_FALSE(apply(service()));
  EXPECT_TRUE(client_.applied.empty());
}

TEST_F(ApplyTest, KnowsItsOwnWhateverSomebodyTookFromIt) {
  apply(service());
  auto bare = client_.last_answer;
  bare["metadata"].erase("labels");
  client_.stored = bare;
  EXPECT_EQ(apply(service()), true) << "it has our annotation";
  bare["metadata"].erase("annotations");
  bare["metadata"]["ownerReferences"] = Json::array({{{"kind", "MirrorPolicy"}, {"name", "default"}}});
  client_.stored = bare;
  EXPECT_EQ(apply(service()), true) << "it has our owner";
}

TEST_F(ApplyTest, WhatIsBeingDeletedIsLeftAlone) {
  auto going = service();
  going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  live_ = std::make_shared<const Json>(going);
  EXPECT_EQ(apply(service()), false);
  EXPECT_EQ(applier_.remove(kube::kServices, live_), false);
  EXPECT_TRUE(client_.applied.empty());
  EXPECT_TRUE(client_.removed.empty());
}

TEST_F(ApplyTest, DeletesExactlyThisObject) {
  live_ = std::make_shared<const Json>(service());
  EXPECT_EQ(applier_.remove(kube::kServices, live_), true);
  ASSERT_EQ(client_.removed.size(), 1U);
  EXPECT_EQ(client_.removed[0].first, (kube::ObjectKey{"ns", "s"}));
  EXPECT_EQ(client_.removed[0].second.uid, "u1");
}

TEST_F(ApplyTest, NeverDeletesWhatIsNotOurs) {
  for (const auto* label : {"app.kubernetes.io/managed-by", "cistern.dev/policy"}) {
    auto other = service();
    other["metadata"]["labels"].erase(label);
    EXPECT_EQ(applier_.remove(kube::kServices, std::make_shared<const Json>(other)), false);
  }
  EXPECT_TRUE(client_.removed.empty());
}

TEST_F(ApplyTest, WhatIsGoneAlreadyOrReplacedIsNoFailure) {
  for (const auto code : {ErrorCode::kNotFound, ErrorCode::kConflict}) {
    client_.failure = Error{code, "no", std::nullopt};
    EXPECT_EQ(applier_.remove(kube::kServices, std::make_shared<const Json>(service())), false);
  }
  client_.failure = Error{ErrorCode::kForbidden, "no", std::nullopt};
  EXPECT_FALSE(applier_.remove(kube::kServices, std::make_shared<const Json>(service())));
}

TEST_F(ApplyTest, AStatusIsWrittenOnlyIfItDiffers) {
  auto policy = Json{{"metadata", {{"name", "p"}}}, {"status", {{"a", 1}}}};
  live_ = std::make_shared<const Json>(policy);
  EXPECT_EQ(*applier_.apply_status(kube::kMirrorPolicies, Json{{"a", 1}}, live_), nullptr);
  const auto after = applier_.apply_status(kube::kMirrorPolicies, Json{{"a", 2}}, live_);
  ASSERT_TRUE(after && *after);
  EXPECT_EQ((**after).at("status"), Json({{"a", 2}}));
  EXPECT_EQ(client_.options.subresource, "status");
}

}  // namespace
}  // namespace cistern::reconcile
