// Rules in short, and pods, for tests.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "operator/admission/decision.hpp"
#include "tests/unit/operator/plan/policies.hpp"

namespace cistern::admission::test {

using plan::test::policy;

// What these policies make of these namespaces; every policy's Service is ready. One node in each of `regions`.
inline Rules rules_of(const std::string& policies, const std::vector<plan::NamespaceFacts>& namespaces,
                      const std::vector<std::string>& regions = {""}) {
  const auto parsed = plan::test::policies_of(policies);
  std::vector<plan::NodeFacts> nodes;
  for (const auto& region : regions) nodes.push_back({"node-" + region, {{"topology.kubernetes.io/region", region}}});
  const auto plan = plan::plan_cluster(parsed, nodes, namespaces, "cistern-system");
  std::set<std::string, std::less<>> ready;
  for (const auto& one : parsed) ready.insert(one.metadata.name);
  return make_rules("cistern-system", plan::plan_pods(parsed, plan.groups), namespaces, plan, std::move(ready));
}

inline constexpr const char* kGo = "go: {upstreams: [{url: \"https://goproxy.example\"}]}";

// A pod with these containers, as the API server sends it.
inline Json pod(Json containers = Json::array({{{"name", "build"}, {"image", "golang"}}})) {
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", {{"generateName", "build-"}, {"namespace", "shop"}}},
          {"spec", {{"containers", std::move(containers)}, {"dnsPolicy", "ClusterFirst"}, {"restartPolicy", "Never"}}}};
}

inline Json labelled(Json pod, const std::string& value) {
  pod["metadata"]["labels"]["cistern.dev/inject"] = value;
  return pod;
}

// As the API server applies it.
inline Json patched(const Json& pod, const Decision& decision) { return pod.patch(decision.patch); }

// Of containers[0].env (or another list): the value, "<none>" if it is not there, "<valueFrom>".
inline std::string env(const Json& pod, const std::string& name, std::size_t container = 0, const char* list = "containers") {
  std::string found = "<none>";
  for (const auto& one : pod["spec"][list][container].value("env", Json::array())) {
    if (one["name"] == name) found = one.contains("value") ? one["value"].get<std::string>() : "<valueFrom>";
  }
  return found;
}

}  // namespace cistern::admission::test
