// The parts that everything else needs: API server, CRD, operator.
#include <algorithm>

#include "operator/inspect/doctor.hpp"
#include "operator/node/config.hpp"

namespace cistern::inspect {
namespace {

constexpr unsigned kOldestMinor = 30;

Line api_version(const Snapshot& snapshot) {
  if (!snapshot.version) return {Level::kUnknown, "api-server", "its version could not be read: " + snapshot.version_error, ""};
  const auto [major, minor] = *snapshot.version;
  if (major == 1 && minor < kOldestMinor) {
    return {Level::kProblem, "api-server", fmt::format("it is Kubernetes {}.{}", major, minor),
            fmt::format("upgrade the cluster to 1.{} or newer", kOldestMinor)};
  }
  return {Level::kOk, "api-server", fmt::format("Kubernetes {}.{}", major, minor), ""};
}

Line crd(const Snapshot& snapshot) {
  constexpr const char* kCheck = "crd";
  const std::string install = "install the chart, or apply crds/ if crd.install is false";
  if (snapshot.custom_resources.known()) {
    const Json* found = snapshot.custom_resources.find(kCustomResource);
    if (found == nullptr) return {Level::kProblem, kCheck, fmt::format("{} is not installed", kCustomResource), install};
    const Json& versions = at(*found, {"spec", "versions"});
    const bool served = std::ranges::any_of(versions, [](const Json& version) {
      return text(version, {"name"}) == kube::kMirrorPolicies.version && at(version, {"served"}) == true;
    });
    if (!served)
      return {Level::kProblem, kCheck, fmt::format("{} does not serve version {}", kCustomResource, kube::kMirrorPolicies.version),
              install};
    const Json& established = condition(*found, "Established");
    if (text(established, {"status"}) != "True") {
      return {Level::kProblem, kCheck, fmt::format("{} is not established: {}", kCustomResource, text(established, {"message"})),
              fmt::format("kubectl describe crd {}", kCustomResource)};
    }
  }
  // A list that is answered needs no right to read CRDs.
  if (snapshot.policies.known()) return {Level::kOk, kCheck, fmt::format("{} is served", kCustomResource), ""};
  if (snapshot.policies.error && snapshot.policies.error->code == ErrorCode::kNotFound) {
    return {Level::kProblem, kCheck, fmt::format("{} is not served", kCustomResource), install};
  }
  return {Level::kUnknown, kCheck, "MirrorPolicies could not be listed", "ask for the right to list mirrorpolicies.cistern.dev"};
}

Line deployment(const World& world) {
  constexpr const char* kCheck = "operator";
  const auto& deployments = world.snapshot().deployments;
  if (!deployments.known()) return {Level::kUnknown, kCheck, "the Deployment could not be read", ""};
  const Json* found = deployments.find(kOperatorDeployment);
  if (found == nullptr) {
    return {Level::kProblem, kCheck, fmt::format("there is no Deployment {} in namespace {}", kOperatorDeployment, world.ns()),
            "install the chart, or name its namespace by --namespace"};
  }
  const auto wanted = number(*found, {"spec", "replicas"});
  const auto available = number(*found, {"status", "availableReplicas"});
  const auto message = fmt::format("{} of {} replicas available", available, wanted);
  if (wanted == 0)
    return {Level::kProblem, kCheck, "it is scaled to 0",
            fmt::format("kubectl -n {} scale deployment {} --replicas 2", world.ns(), kOperatorDeployment)};
  if (available >= wanted) return {Level::kOk, kCheck, message, ""};
  return {available == 0 ? Level::kProblem : Level::kWarning, kCheck, message,
          fmt::format("kubectl -n {} describe pods -l app.kubernetes.io/component=operator", world.ns())};
}

Line leader(const World& world) {
  constexpr const char* kCheck = "leader";
  if (!world.snapshot().leases.known()) return {Level::kUnknown, kCheck, "Leases could not be read", ""};
  if (const auto why = world.why_no_leader(); !why.empty()) {
    return {Level::kProblem, kCheck, why + "; caches work on, and no change takes effect",
            fmt::format("kubectl -n {} logs deployment/{}", world.ns(), kOperatorDeployment)};
  }
  return {Level::kOk, kCheck, text(*world.snapshot().leases.find(kLeaderLease), {"spec", "holderIdentity"}) + " leads", ""};
}

}  // namespace

Lines check_api_server(const World& world) {
  const auto& snapshot = world.snapshot();
  Lines lines{api_version(snapshot), crd(snapshot)};
  for (const auto& line : snapshot.unread()) {
    // That they are not served has been said.
    if (line.starts_with(snapshot.policies.what + ":") && snapshot.policies.error->code == ErrorCode::kNotFound) continue;
    lines.push_back({Level::kUnknown, "rights", "could not be read: " + line, ""});
  }
  return lines;
}

Lines check_operator(const World& world) {
  Lines lines{deployment(world)};
  const auto& deployments = world.snapshot().deployments;
  if (!deployments.known() || deployments.find(kOperatorDeployment) != nullptr) lines.push_back(leader(world));
  if (world.is_uninstalling()) {
    lines.push_back(
        {Level::kProblem, "uninstall",
         fmt::format("ConfigMap {} is there: an uninstallation was begun, and nodes have put their files back", node::kUninstallConfigMap),
         fmt::format("let helm uninstall end; if Cistern is to stay: kubectl -n {} delete configmap {}", world.ns(),
                     node::kUninstallConfigMap)});
  }
  return lines;
}

}  // namespace cistern::inspect
