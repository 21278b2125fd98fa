#include "operator/admission/review.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <ctime>

#include "base/encoding.hpp"
#include "tests/unit/operator/admission/reviews.hpp"
#include "tests/unit/operator/admission/world.hpp"

namespace cistern::admission {
namespace {

using test::kGo;
using test::pod;
using test::policy;
using test::review_of;
using test::rules_of;
using testing::HasSubstr;

Rules shop_rules() { return rules_of(policy("name: default", kGo), {{"shop", {}}}); }

// A 200 with this uid that allows; the patch, null if there is none.
Json patch_in(const Reviewed& reviewed, const std::string& uid) {
  EXPECT_EQ(reviewed.status, 200U) << reviewed.body;
  const auto answer = Json::parse(reviewed.body);
  EXPECT_EQ(answer["apiVersion"], "admission.k8s.io/v1");
  EXPECT_EQ(answer["kind"], "AdmissionReview");
  EXPECT_EQ(answer["response"]["uid"], uid);
  EXPECT_EQ(answer["response"]["allowed"], true);
  EXPECT_EQ(answer["response"].contains("patch"), answer["response"].contains("patchType"));
  if (!answer["response"].contains("patch")) return nullptr;
  EXPECT_EQ(answer["response"]["patchType"], "JSONPatch");
  return Json::parse(*from_base64(answer["response"]["patch"].get<std::string>()));
}

TEST(Review, of_a_pod_is_answered_with_its_patch) {
  const auto rules = shop_rules();
  const auto reviewed = review(&rules, review_of(pod(), "shop").dump());
  const auto patch = patch_in(reviewed, "u-1");
  ASSERT_FALSE(patch.is_null());
  EXPECT_THAT(test::env(pod().patch(patch), "GOPROXY"), HasSubstr("cistern-default"));
  EXPECT_EQ(reviewed.ns, "shop");
  EXPECT_EQ(reviewed.pod, "build-*");
  EXPECT_EQ(reviewed.decision.policy, "default");
}

TEST(Review, goes_by_the_requests_namespace_not_by_what_the_pod_says) {
  const auto rules = shop_rules();
  EXPECT_TRUE(patch_in(review(&rules, review_of(pod(), "kube-system").dump()), "u-1").is_null());
  auto without = review_of(pod(), "shop");
  without["request"].erase("namespace");
  EXPECT_TRUE(patch_in(review(&rules, without.dump()), "u-1").is_null());
}

TEST(Review, of_a_dry_run_is_answered_alike_as_nothing_else_is_done) {
  const auto rules = shop_rules();
  auto dry = review_of(pod(), "shop");
  dry["request"]["dryRun"] = true;
  EXPECT_FALSE(patch_in(review(&rules, dry.dump()), "u-1").is_null());
}

TEST(Review, before_anything_is_known_allows) { EXPECT_TRUE(patch_in(review(nullptr, review_of(pod(), "shop").dump()), "u-1").is_null()); }

TEST(Review, of_anything_else_than_a_new_pod_allows_and_changes_nothing) {
  const auto rules = shop_rules();
  const auto changed = [](const char* field, Json value) {
    auto one = review_of(pod(), "shop");
    one["request"][field] = std::move(value);
    return one;
  };
  for (const auto& one : {changed("operation", "UPDATE"), changed("operation", "DELETE"), changed("operation", "CONNECT"),
                          changed("operation", nullptr), changed("subResource", "ephemeralcontainers"), changed("object", nullptr),
                          changed("object", 3), changed("object", Json::array()), changed("resource", nullptr), changed("resource", "pods"),
                          changed("resource", {{"group", ""}, {"version", "v1"}, {"resource", "services"}}),
                          changed("resource", {{"group", "apps"}, {"version", "v1"}, {"resource", "pods"}}),
                          changed("resource", {{"group", ""}, {"version", "v2"}, {"resource", "pods"}})}) {
    EXPECT_TRUE(patch_in(review(&rules, one.dump()), "u-1").is_null()) << one;
  }
}

TEST(Review, keeps_any_uid_as_it_is) {
  const auto rules = shop_rules();
  for (const auto& uid : {std::string("\"\\\n\t\u0001"), std::string("ü€😀"), std::string(100000, 'x')}) {
    auto one = review_of(pod(), "shop");
    one["request"]["uid"] = uid;
    EXPECT_FALSE(patch_in(review(&rules, one.dump()), uid).is_null());
  }
}

TEST(Review, that_is_none_is_400_with_what_was_expected) {
  const auto rules = shop_rules();
  const auto good = review_of(pod(), "shop");
  const auto with = [&](const char* field, Json value) {
    auto one = good;
    one[field] = std::move(value);
    return one.dump();
  };
  auto no_uid = good;
  no_uid["request"].erase("uid");
  const auto text = good.dump();
  for (const auto& body :
       {std::string(), std::string("\0", 1), std::string("null"), std::string("[]"), std::string("{}"), std::string("1e999"),
        text.substr(0, text.size() / 2), text + "x", std::string("\xff\xfe{}"), with("kind", "Pod"), with("kind", 1),
        with("apiVersion", "admission.k8s.io/v1beta1"), with("apiVersion", nullptr), with("request", nullptr), with("request", "x"),
        no_uid.dump(), std::string(100000, '['), std::string("{\"kind\":\"\xc3\x28\"}")}) {
    const auto reviewed = review(&rules, body);
    EXPECT_EQ(reviewed.status, 400U) << body.substr(0, 100);
    EXPECT_THAT(reviewed.body, HasSubstr("AdmissionReview of admission.k8s.io/v1"));
  }
}

TEST(Review, of_a_huge_pod_or_a_deep_one_is_answered) {
  const auto rules = shop_rules();
  auto huge = pod();
  for (int i = 0; i < 5000; ++i)
    huge["spec"]["containers"].push_back({{"name", "c" + std::to_string(i)}, {"args", {std::string(400, 'x')}}});
  EXPECT_EQ(patch_in(review(&rules, review_of(huge, "shop").dump()), "u-1").size(), 5001U + 3U);
  auto text = review_of(pod(), "shop").dump();
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  text.insert(text.find("\"spec\":{") + 8, "\"x\":" + deep + ",");
  EXPECT_FALSE(patch_in(review(&rules, text), "u-1").is_null());
}

// What the reader leaves out must be of no interest to the decision.
TEST(Review, decides_as_on_the_whole_pod) {
  const auto rules = test::large_rules(10, 3);
  const auto whole = test::realistic_review("ns-3");
  const auto reviewed = review(&rules, whole.dump());
  EXPECT_EQ(reviewed.decision.patch, decide(rules, "ns-3", whole["request"]["object"]).patch);
  EXPECT_EQ(reviewed.decision.patch.size(), 5U * 3U + 3U);
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// In time of the processor, which other programs do not disturb; the whole way, with the listener, is `./cistern bench webhook`.
TEST(Review, of_5000_pods_takes_less_than_a_second_of_one_core_in_a_large_cluster) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
  GTEST_SKIP() << "only optimised code is measured";
#endif
  const auto rules = test::large_rules(1000, 50);
  std::vector<std::string> reviews;
  for (int i = 0; i < 100; ++i) reviews.push_back(test::realistic_review("ns-" + std::to_string(i * 10)).dump());
  std::size_t patched = 0;
  const double begin = cpu_seconds();
  for (int i = 0; i < 5000; ++i) patched += review(&rules, reviews[static_cast<std::size_t>(i) % 100]).decision.patch.empty() ? 0 : 1;
  const double took = cpu_seconds() - begin;
  RecordProperty("reviews_per_second", static_cast<int>(5000 / took));
  EXPECT_EQ(patched, 5000U);
  EXPECT_LT(took, 1.0);
}

}  // namespace
}  // namespace cistern::admission
