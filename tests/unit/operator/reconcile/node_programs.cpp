#include "tests/unit/operator/reconcile/node_programs.hpp"

#include <algorithm>

#include <fmt/chrono.h>

#include "operator/node/decide.hpp"
#include "operator/node/lease.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::reconcile {
namespace {

using kube::Json;

constexpr std::chrono::milliseconds kRound{20};
constexpr int kWork = 3;  // rounds

std::string now_as_text() {
  const auto time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.000000Z", fmt::gmtime(time));
}

}  // namespace

NodePrograms::NodePrograms(kube::Client& client, std::string ns) : client_(client), ns_(std::move(ns)), thread_([this] { play(); }) {}

NodePrograms::~NodePrograms() {
  ending_ = true;
  thread_.join();
}

void NodePrograms::silence(const std::string& node) {
  const std::lock_guard lock(mutex_);
  silent_.insert(node);
}

void NodePrograms::let_fail(const std::string& node) {
  const std::lock_guard lock(mutex_);
  failing_.insert(node);
}

void NodePrograms::make_unsupported(const std::string& node, const std::string& message) {
  const std::lock_guard lock(mutex_);
  unsupported_[node] = message;
}

std::vector<std::string> NodePrograms::history() const {
  const std::lock_guard lock(mutex_);
  return history_;
}

void NodePrograms::play() {
  while (!ending_) {
    std::this_thread::sleep_for(kRound);
    const auto listed = client_.list(kube::kNodes, {});
    if (!listed) continue;
    const bool uninstalling = client_.get(kube::kConfigMaps, {ns_, std::string(node::kUninstallConfigMap)}).has_value();
    const std::lock_guard lock(mutex_);
    std::size_t in_change = 0;
    for (const auto& object : listed->at("items")) {
      const auto name = kube::metadata(object, "name");
      if (silent_.contains(name)) continue;
      play_on(name, uninstalling, nodes_[name], kube::label(object, render::kGroupLabel));
      in_change += nodes_[name].working > 0 ? 1 : 0;
    }
    most_in_change_ = std::max<std::size_t>(most_in_change_, in_change);
  }
}

void NodePrograms::play_on(const std::string& name, bool uninstalling, Node& node, const std::string& group) {
  const kube::ObjectKey key{ns_, node::lease_name(name)};
  const auto lease = client_.get(kube::kLeases, key);
  if (!lease && lease.error().code != ErrorCode::kNotFound) return;
  node::Situation situation;
  situation.uninstall_known = situation.node_known = situation.config_known = true;
  situation.uninstalling = uninstalling;
  situation.group = group;
  if (const auto map = group.empty() ? Result<Json>(fail(ErrorCode::kNotFound, ""))
                                     : client_.get(kube::kConfigMaps, {ns_, std::string(node::kConfigMapPrefix) + group})) {
    auto config = node::parse_config(map->at("data").at("node.json").get<std::string>());
    if (config) situation.config = std::move(*config);
    if (!config) situation.config_problem = config.error().message;
  }
  situation.granted = lease ? kube::annotation(*lease, node::kGrantedAnnotation) : "";
  situation.applied = node.applied == "none" ? "" : node.applied;
  situation.has_something = node.applied != "none";
  if (const auto found = unsupported_.find(name); found != unsupported_.end()) situation.blocked = found->second;
  const auto decision = node::decide(situation);
  node::Report report;
  report.state = decision.state;
  report.message = decision.message;
  report.group = group;
  report.config_hash = situation.config ? situation.config->hash : "";
  const auto become = [&](const std::string& hash) {
    history_.push_back(fmt::format("{} {} -> {}", name, node.applied, hash));
    node.applied = hash;
    node.working = 0;
    node.failures = 0;
  };
  if (decision.action == node::Action::kRestore && !held_) become("none");
  if (decision.action == node::Action::kApply) {
    if (++node.working > kWork && failing_.contains(name)) {
      ++node.failures;
      node.working = 1;
    } else if (node.working > kWork) {
      become(situation.config->hash);
    }
    report.state = node.failures > 0 ? "Failed" : node.applied == report.config_hash ? "Applied" : "Waiting";
    if (node.failures > 0) report.message = "disk full";
  } else {
    node.working = 0;
  }
  report.applied_hash = node.applied;
  report.failures = std::min(node.failures, 3U);
  const Json said = node::annotations_of(report);
  if (lease && node.written == said.dump()) return;
  Json wanted{{"metadata",
               {{"name", key.name},
                {"namespace", ns_},
                {"labels", {{"app.kubernetes.io/managed-by", "cistern"}, {"app.kubernetes.io/component", "node"}}},
                {"annotations", said}}},
              {"spec", {{"holderIdentity", name}, {"renewTime", now_as_text()}}}};
  const auto written = lease ? client_.merge_patch(kube::kLeases, key, wanted) : client_.create(kube::kLeases, wanted);
  if (written) node.written = said.dump();
}

}  // namespace cistern::reconcile
