// Reviews as the API server sends them, and the rules of a large cluster, for tests and the benchmark.
#pragma once

#include <string>

#include "tests/unit/operator/admission/world.hpp"

namespace cistern::admission::test {

inline Json review_of(Json pod, const std::string& ns) {
  const Json resource = {{"group", ""}, {"version", "v1"}, {"resource", "pods"}};
  const Json kind = {{"group", ""}, {"version", "v1"}, {"kind", "Pod"}};
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "u-1"},
            {"kind", kind},
            {"resource", resource},
            {"requestKind", kind},
            {"requestResource", resource},
            {"namespace", ns},
            {"operation", "CREATE"},
            {"userInfo",
             {{"username", "system:serviceaccount:kube-system:replicaset-controller"},
              {"uid", "5b9c5ee8-5e5a-4b38-9f0e-6f6d0b3d5f10"},
              {"groups", {"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}}}},
            {"object", std::move(pod)},
            {"oldObject", nullptr},
            {"dryRun", false},
            {"options", {{"apiVersion", "meta.k8s.io/v1"}, {"kind", "CreateOptions"}}}}}};
}

// What a Deployment's pod with two containers and an init container looks like after defaulting: about 7 KB.
inline Json realistic_pod() {
  const auto container = [](const std::string& name) {
    Json env = Json::array();
    for (int i = 0; i < 12; ++i)
      env.push_back({{"name", "SETTING_" + std::to_string(i)}, {"value", "value-of-setting-" + std::to_string(i)}});
    const Json probe = {{"httpGet", {{"path", "/healthz"}, {"port", 8080}, {"scheme", "HTTP"}}},
                        {"timeoutSeconds", 1},
                        {"periodSeconds", 10},
                        {"successThreshold", 1},
                        {"failureThreshold", 3}};
    return Json{{"name", name},
                {"image", "registry.example/team/" + name + ":v1.2.3"},
                {"command", {"/bin/sh", "-c", "go mod download && go build ./... && exec /app/server --config /etc/app/config.yaml"}},
                {"ports", {{{"containerPort", 8080}, {"name", "http"}, {"protocol", "TCP"}}}},
                {"env", std::move(env)},
                {"resources", {{"limits", {{"cpu", "2"}, {"memory", "2Gi"}}}, {"requests", {{"cpu", "500m"}, {"memory", "512Mi"}}}}},
                {"volumeMounts",
                 {{{"name", "config"}, {"mountPath", "/etc/app"}},
                  {{"name", "kube-api-access-x7k2p"}, {"readOnly", true}, {"mountPath", "/var/run/secrets/kubernetes.io/serviceaccount"}}}},
                {"livenessProbe", probe},
                {"readinessProbe", probe},
                {"terminationMessagePath", "/dev/termination-log"},
                {"terminationMessagePolicy", "File"},
                {"imagePullPolicy", "IfNotPresent"},
                {"securityContext", {{"allowPrivilegeEscalation", false}, {"capabilities", {{"drop", {"ALL"}}}}}}};
  };
  Json one = pod({container("server"), container("proxy")});
  one["metadata"]["generateName"] = "server-7d4f9c8b6d-";
  one["metadata"]["labels"] = {
      {"app.kubernetes.io/name", "server"}, {"app.kubernetes.io/part-of", "shop"}, {"pod-template-hash", "7d4f9c8b6d"}};
  one["metadata"]["annotations"] = {{"prometheus.io/scrape", "true"}, {"prometheus.io/port", "8080"}};
  one["metadata"]["ownerReferences"] = {{{"apiVersion", "apps/v1"},
                                         {"kind", "ReplicaSet"},
                                         {"name", "server-7d4f9c8b6d"},
                                         {"uid", "1f2e3d4c-5b6a-4798-8a9b-0c1d2e3f4a5b"},
                                         {"controller", true},
                                         {"blockOwnerDeletion", true}}};
  one["metadata"]["managedFields"] = {{{"manager", "kube-controller-manager"},
                                       {"operation", "Update"},
                                       {"apiVersion", "v1"},
                                       {"time", "2026-01-01T00:00:00Z"},
                                       {"fieldsType", "FieldsV1"},
                                       {"fieldsV1",
                                        {{"f:metadata", {{"f:generateName", Json::object()}, {"f:labels", {{".", Json::object()}}}}},
                                         {"f:spec", {{"f:containers", {{"k:{\"name\":\"server\"}", {{"f:env", Json::object()}}}}}}}}}}};
  one["spec"]["initContainers"] = {container("migrate")};
  one["spec"]["serviceAccountName"] = "default";
  one["spec"]["schedulerName"] = "default-scheduler";
  one["spec"]["tolerations"] = {
      {{"key", "node.kubernetes.io/not-ready"}, {"operator", "Exists"}, {"effect", "NoExecute"}, {"tolerationSeconds", 300}},
      {{"key", "node.kubernetes.io/unreachable"}, {"operator", "Exists"}, {"effect", "NoExecute"}, {"tolerationSeconds", 300}}};
  one["spec"]["volumes"] = {{{"name", "config"}, {"configMap", {{"name", "server-config"}, {"defaultMode", 420}}}}};
  one["status"] = Json::object();
  return one;
}

inline Json realistic_review(const std::string& ns) { return review_of(realistic_pod(), ns); }

// Each policy selects its share of namespaces (ns-0, ns-1, …) and has three profiles.
inline Rules large_rules(std::size_t namespaces, std::size_t policies) {
  std::string text;
  for (std::size_t i = 0; i < policies; ++i) {
    text += policy("name: policy-" + std::to_string(i), std::string("namespaceSelector: {matchLabels: {team: t") + std::to_string(i) +
                                                            "}}, go: {upstreams: [{url: \"https://goproxy.example\"}], private: "
                                                            "[corp.example]}, profiles: {dev: {go: {sumDB: {mode: Off}}}, "
                                                            "test: {}, prod: {go: {deny: [example.com/experiments]}}}");
  }
  std::vector<plan::NamespaceFacts> facts;
  for (std::size_t i = 0; i < namespaces; ++i) {
    facts.push_back({"ns-" + std::to_string(i),
                     {{"team", "t" + std::to_string(i % policies)}, {"kubernetes.io/metadata.name", "ns-" + std::to_string(i)}}});
    if (i % 3 == 0) facts.back().labels["cistern.dev/profile"] = "prod";
  }
  return rules_of(text, facts);
}

}  // namespace cistern::admission::test
