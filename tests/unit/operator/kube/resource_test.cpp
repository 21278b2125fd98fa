#include "operator/kube/resource.hpp"

#include <gtest/gtest.h>

#include "operator/kube/protocol.hpp"

namespace cistern::kube {
namespace {

TEST(Resource, KnowsItsApiVersion) {
  EXPECT_EQ(kPods.api_version(), "v1");
  EXPECT_EQ(kDaemonSets.api_version(), "apps/v1");
}

TEST(Resource, IsFoundByItsPath) {
  EXPECT_EQ(path_of(kNodes, {"", "a"}), "/api/v1/nodes/a");
  EXPECT_EQ(path_of(kNodes, {"ignored", "a"}), "/api/v1/nodes/a");
  EXPECT_EQ(path_of(kPods, {}), "/api/v1/pods");
  EXPECT_EQ(path_of(kPods, {"x", ""}), "/api/v1/namespaces/x/pods");
  EXPECT_EQ(path_of(kDaemonSets, {"x", "y"}, "status"), "/apis/apps/v1/namespaces/x/daemonsets/y/status");
  EXPECT_EQ(path_of(kPods, {"a/b", "c?d"}), "/api/v1/namespaces/a%2Fb/pods/c%3Fd") << "a name can not leave its place";
}

TEST(Resource, ReadsMetadataOfAnyObject) {
  const Json object{{"metadata", {{"name", "a"}, {"namespace", "x"}, {"labels", {{"l", "1"}}}, {"annotations", {{"n", "2"}}}}}};
  EXPECT_EQ(key_of(object), (ObjectKey{"x", "a"}));
  EXPECT_EQ(label(object, "l"), "1");
  EXPECT_EQ(annotation(object, "n"), "2");
  EXPECT_EQ(label(object, "none"), "");
  for (const auto& strange : {Json(), Json(1), Json::array(), Json{{"metadata", 1}}, Json{{"metadata", {{"labels", "x"}, {"name", 3}}}}}) {
    EXPECT_EQ(key_of(strange).name, "");
    EXPECT_EQ(label(strange, "l"), "");
  }
  EXPECT_EQ(ObjectKey({"x", "a"}).to_string(), "x/a");
  EXPECT_EQ(ObjectKey({"", "a"}).to_string(), "a");
}

TEST(Status, SaysWhichFieldsOfASecretAreWrongButNotTheirValues) {
  const auto body =
      R"({"kind":"Status","reason":"Invalid","message":"data: hunter2","details":{"causes":[{"field":"data[k]","message":"hunter2"}]}})";
  EXPECT_EQ(to_error(422, body, "apply", kSecrets, {}).message, "apply: 422: Invalid data[k]");
  EXPECT_EQ(to_error(422, body, "apply", kConfigMaps, {}).message, "apply: 422: data: hunter2");
}

TEST(Status, ThatIsNoneIsCutAtItsFirstLine) {
  EXPECT_EQ(to_error(502, "bad gateway\n<html>", "get", kNodes, {}).message, "get: 502: bad gateway");
  EXPECT_LT(to_error(502, std::string(100000, 'x'), "get", kNodes, {}).message.size(), 1100U);
}

}  // namespace
}  // namespace cistern::kube
