#include "operator/reconcile/informer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/reconcile/trim.hpp"

namespace cistern::reconcile {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Json object(const std::string& name, const std::string& version, const std::string& group = {}, const std::string& value = {}) {
  Json made{
      {"metadata",
       {{"name", name}, {"resourceVersion", version}, {"managedFields", Json::array({{{"manager", "cistern"}, {"operation", "Apply"}}})}}},
      {"value", value}};
  if (!group.empty()) made["metadata"]["labels"]["group"] = group;
  return made;
}

class InformerTest : public testing::Test {
 protected:
  std::vector<std::string> names(const std::vector<Object>& objects) {
    std::vector<std::string> all;
    for (const auto& one : objects) all.push_back(kube::metadata(*one, "name"));
    return all;
  }
  std::vector<std::string> take_changes() { return std::exchange(changes_, {}); }

  std::vector<std::string> changes_;  // "+a", "~a", "-a"
  ObjectCache cache_{trim_object, {"group"}, [this](const Object& before, const Object& after) {
                       const char* kind = !before ? "+" : !after ? "-" : "~";
                       changes_.push_back(kind + kube::metadata(after ? *after : *before, "name"));
                     }};
};

TEST_F(InformerTest, HasSyncedOnceEverythingWasListed) {
  EXPECT_FALSE(cache_.has_synced());
  cache_.replace({});
  EXPECT_TRUE(cache_.has_synced());
}

TEST_F(InformerTest, FindsObjectsByNameAndByLabel) {
  cache_.replace({object("a", "1", "x"), object("b", "2", "y"), object("c", "3", "x")});
  EXPECT_THAT(names(cache_.all()), ElementsAre("a", "b", "c"));
  EXPECT_THAT(names(cache_.with_label("group", "x")), ElementsAre("a", "c"));
  EXPECT_THAT(names(cache_.with_label("group", "z")), IsEmpty());
  EXPECT_THAT(cache_.label_values("group"), ElementsAre("x", "y"));
  ASSERT_NE(cache_.get({"", "b"}), nullptr);
  EXPECT_EQ(cache_.get({"", "nobody"}), nullptr);
}

TEST_F(InformerTest, FindsWhatIsInANamespace) {
  const auto in = [](const std::string& ns, const std::string& name) {
    auto made = object(name, "1");
    made["metadata"]["namespace"] = ns;
    return made;
  };
  cache_.replace({in("a", "x"), in("ab", "y"), in("b", "z"), in("a", "w")});
  EXPECT_THAT(names(cache_.in_namespace("a")), ElementsAre("w", "x"));
  EXPECT_THAT(names(cache_.in_namespace("b")), ElementsAre("z"));
  EXPECT_THAT(names(cache_.in_namespace("aa")), IsEmpty());
}

TEST_F(InformerTest, TheIndexFollowsALabelThatChanges) {
  cache_.replace({object("a", "1", "x")});
  cache_.changed(object("a", "2", "y"));
  EXPECT_THAT(names(cache_.with_label("group", "x")), IsEmpty());
  EXPECT_THAT(names(cache_.with_label("group", "y")), ElementsAre("a"));
  EXPECT_THAT(cache_.label_values("group"), ElementsAre("y"));
  cache_.removed(object("a", "3", "y"));
  EXPECT_THAT(cache_.label_values("group"), IsEmpty());
}

TEST_F(InformerTest, TellsWhatIsNewChangedAndGone) {
  cache_.replace({object("a", "1"), object("b", "2")});
  EXPECT_THAT(take_changes(), ElementsAre("+a", "+b"));
  cache_.changed(object("b", "3", "", "other"));
  cache_.changed(object("c", "4"));
  cache_.removed(object("a", "5"));
  EXPECT_THAT(take_changes(), ElementsAre("~b", "+c", "-a"));
}

TEST_F(InformerTest, ANewListTellsOnlyWhatDiffers) {
  cache_.replace({object("a", "1"), object("b", "2"), object("c", "3")});
  take_changes();
  cache_.replace({object("a", "1"), object("b", "9", "", "other"), object("d", "4")});
  EXPECT_THAT(take_changes(), testing::UnorderedElementsAre("-c", "~b", "+d"));
  EXPECT_THAT(names(cache_.all()), ElementsAre("a", "b", "d"));
}

TEST_F(InformerTest, AWriteThatSaysNothingNewIsNotTold) {
  cache_.replace({object("a", "1")});
  take_changes();
  cache_.changed(object("a", "2"));
  EXPECT_THAT(take_changes(), IsEmpty());
  EXPECT_EQ(cache_.resource_version({"", "a"}), "2");
}

TEST_F(InformerTest, KeepsNoManagedFields) {
  cache_.replace({object("a", "1")});
  EXPECT_FALSE(cache_.get({"", "a"})->at("metadata").contains("managedFields"));
}

TEST_F(InformerTest, RemembersWhyItIsNotUpToDate) {
  const Error error{ErrorCode::kUpstream, "connection refused", std::nullopt};
  cache_.connected(&error);
  ASSERT_TRUE(cache_.disconnected());
  EXPECT_EQ(cache_.disconnected()->message, "connection refused");
  cache_.connected(nullptr);
  EXPECT_FALSE(cache_.disconnected());
}

TEST(Trim, ANodeKeepsItsLabelsTaintsAndReadiness) {
  Json node = Json::parse(R"({"kind": "Node", "metadata": {"name": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"},
    "annotations": {"cistern.dev/x": "1", "other": "2"}, "managedFields": []},
    "spec": {"unschedulable": true, "taints": [{"key": "k"}], "podCIDR": "10.0.0.0/24"},
    "status": {"conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True", "lastHeartbeatTime": "t"}],
               "images": [{"names": ["x"]}]}})");
  trim_node(node);
  EXPECT_EQ(node, Json::parse(R"({"metadata": {"name": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"},
    "annotations": {"cistern.dev/x": "1"}}, "spec": {"unschedulable": true, "taints": [{"key": "k"}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]}})"));
}

TEST(Trim, APodKeepsWhatSaysHowItsAgentDoes) {
  Json pod = Json::parse(R"({"metadata": {"name": "p", "labels": {"a": "b", "cistern.dev/group": "g", "pod-template-generation": "3"},
      "annotations": {"cistern.dev/config-hash": "1", "other": "x"}, "ownerReferences": [{}]},
    "spec": {"nodeName": "n", "containers": [{"image": "i"}], "affinity": {}},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "t"},
      {"type": "Initialized", "status": "True"}, {"type": "PodScheduled", "status": "True"}], "hostIP": "h",
      "containerStatuses": [{"name": "agent", "image": "i", "ready": true, "restartCount": 1, "imageID": "sha256:0",
        "state": {"running": {"startedAt": "t"}}, "lastState": {"terminated": {"exitCode": 1}}}]}})");
  const Json kept = Json::parse(R"({"metadata": {"name": "p", "labels": {"cistern.dev/group": "g", "pod-template-generation": "3"},
      "annotations": {"cistern.dev/config-hash": "1"}},
    "spec": {"nodeName": "n"}, "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}],
      "containerStatuses": [{"image": "i", "restartCount": 1, "lastState": {"terminated": {"exitCode": 1}}}]}})");
  trim_pod(pod);
  EXPECT_EQ(pod, kept);
  trim_pod(pod);
  EXPECT_EQ(pod, kept) << "trimmed again it stays the same";
}

TEST(Trim, APodThatIsNotScheduledKeepsWhy) {
  const Json waiting = Json::parse(R"({"metadata": {"name": "p"}, "spec": {"affinity": {}},
    "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "why"}]}})");
  Json pod = waiting;
  trim_pod(pod);
  EXPECT_EQ(pod, waiting);
}

TEST(Trim, APodWithoutANodeKeepsItsAffinity) {
  Json pod = Json::parse(R"({"metadata": {"name": "p"}, "spec": {"affinity": {"nodeAffinity": {}}}})");
  trim_pod(pod);
  EXPECT_EQ(pod.at("spec"), Json::parse(R"({"affinity": {"nodeAffinity": {}}})"));
}

TEST(Trim, WhatIsNotThereIsNoMistake) {
  Json nothing = Json::object();
  trim_node(nothing);
  trim_pod(nothing);
  trim_namespace(nothing);
  trim_object(nothing);
  EXPECT_TRUE(nothing.is_object());
}

}  // namespace
}  // namespace cistern::reconcile
