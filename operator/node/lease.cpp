#include "operator/node/lease.hpp"

#include <fmt/chrono.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/version.hpp"

namespace cistern::node {
namespace {

using kube::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kFast{2};
constexpr milliseconds kChanged{500};  // between two that say something else: the next node's turn waits for it
constexpr seconds kSlowest{120};       // and half of it at least
constexpr std::size_t kLongestMessage = 900;

std::string microtime(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.000000Z", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace

std::map<std::string, std::string> annotations_of(const Report& report) {
  return {{"cistern.dev/group", report.group},
          {"cistern.dev/config-hash", report.config_hash},
          {"cistern.dev/applied-hash", report.applied_hash},
          {"cistern.dev/runtime", report.runtime},
          {"cistern.dev/agent-version", std::string(kVersion)},
          {"cistern.dev/state", report.state},
          {"cistern.dev/kept-in-fallback", fmt::format("{}", fmt::join(report.kept_in_fallback, ","))},
          {"cistern.dev/drift", std::to_string(report.drift)},
          {"cistern.dev/repairs", std::to_string(report.repairs)},
          {"cistern.dev/failures", std::to_string(report.failures)},
          {"cistern.dev/message", report.message.substr(0, kLongestMessage)}};
}

LeaseWriter::LeaseWriter(kube::Client& client, const Clock& clock, std::string ns, std::string node)
    : client_(client), clock_(clock), ns_(std::move(ns)), node_(std::move(node)) {}

SteadyTime LeaseWriter::round(const Report& report, const std::string& owner) {
  const auto now = clock_.steady();
  const bool changed = !ever_ || annotations_of(report) != written_;
  if (changed) due_ = std::min(due_, ever_ ? tried_at_ + (problem_.empty() ? milliseconds(kChanged) : kFast) : now);
  if (now < due_) return due_;
  const auto written = write(report, owner);
  if (!written && written.error().message != problem_)
    spdlog::warn("the Lease could not be written reason=\"{}\"", written.error().message);
  problem_ = written ? "" : written.error().message;
  const bool fast = report.busy || !written;
  const seconds slow(std::uniform_int_distribution<long>(kSlowest.count() / 2, kSlowest.count())(random_));
  // An API server that is away is not asked by thousands of nodes every two seconds.
  due_ = now + (written ? (fast ? kFast : slow) : seconds(std::uniform_int_distribution<long>(2, 10)(random_)));
  return due_;
}

Result<void> LeaseWriter::write(const Report& report, const std::string& owner) {
  const auto annotations = annotations_of(report);
  tried_at_ = clock_.steady();
  Json lease{
      {"apiVersion", kube::kLeases.api_version()},
      {"kind", kube::kLeases.kind},
      {"metadata",
       {{"namespace", ns_},
        {"name", lease_name(node_)},
        {"labels", {{"app.kubernetes.io/managed-by", "cistern"}, {"app.kubernetes.io/component", "node"}}},
        {"annotations", annotations}}},
      {"spec", {{"holderIdentity", node_}, {"leaseDurationSeconds", kLeaseDuration.count()}, {"renewTime", microtime(clock_.wall())}}}};
  if (!owner.empty()) {
    lease["metadata"]["ownerReferences"] = {{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node_}, {"uid", owner}}};
  }
  // A patch leaves what the operator has written into it.
  auto done = client_.merge_patch(kube::kLeases, {ns_, lease_name(node_)}, lease);
  if (!done && done.error().code == ErrorCode::kNotFound) done = client_.create(kube::kLeases, lease);
  if (!done) return fail(done.error());
  written_ = annotations;
  ever_ = true;
  return {};
}

}  // namespace cistern::node
