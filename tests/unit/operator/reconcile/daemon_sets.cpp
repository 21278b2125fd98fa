#include "tests/unit/operator/reconcile/daemon_sets.hpp"

#include <fmt/format.h>

#include "operator/render/manifests.hpp"

namespace cistern::reconcile {

using kube::Json;

DaemonSets::DaemonSets(kube::Client& client, std::string ns) : client_(client), ns_(std::move(ns)) {
  thread_ = std::thread([this] {
    while (!ending_) {
      play();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
}

DaemonSets::~DaemonSets() {
  ending_ = true;
  thread_.join();
}

void DaemonSets::kill_node(const std::string& name) {
  const std::lock_guard lock(mutex_);
  dead_nodes_.insert(name);
}

void DaemonSets::refuse_pods(std::string words) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(words);
}

void DaemonSets::set_counters(AgentReport counters) {
  const std::lock_guard lock(mutex_);
  counters_ = std::move(counters);
}

std::vector<Result<AgentReport>> DaemonSets::ask(const std::vector<std::string>& addresses, std::uint16_t, std::chrono::milliseconds) {
  std::vector<Result<AgentReport>> answers;
  const std::lock_guard lock(mutex_);
  for (const auto& address : addresses) {
    const auto known = hash_at_.find(address);
    if (known == hash_at_.end()) {
      answers.push_back(fail(ErrorCode::kTimeout, "no answer from {}", address));
      continue;
    }
    AgentReport report = counters_;
    report.config_hash = known->second;
    answers.push_back(std::move(report));
  }
  return answers;
}

void DaemonSets::play() {
  const auto sets = client_.list(kube::kDaemonSets, {ns_, "", ""});
  const auto nodes = client_.list(kube::kNodes, {});
  const auto pods = client_.list(kube::kPods, {ns_, std::string(render::kGroupOfObject), ""});
  if (!sets || !nodes || !pods) return;
  std::set<std::pair<std::string, std::string>> wanted, there;
  std::map<std::string, const Json*> set_of;
  for (const auto& set : sets->at("items")) {
    const auto group = kube::label(set, render::kGroupOfObject);
    set_of[group] = &set;
    std::size_t count = 0;
    for (const auto& node : nodes->at("items")) {
      if (kube::label(node, render::kGroupLabel) != group) continue;
      wanted.emplace(group, kube::metadata(node, "name"));
      ++count;
    }
    const Json status{{"observedGeneration", set.at("metadata").value("generation", 1)},
                      {"desiredNumberScheduled", count},
                      {"currentNumberScheduled", count},
                      {"numberMisscheduled", 0},
                      {"numberReady", count}};
    if (set.value("status", Json::object()).value("observedGeneration", 0) != status.at("observedGeneration") ||
        set.at("status").value("desiredNumberScheduled", std::size_t{0}) != count) {
      client_.merge_patch(kube::kDaemonSets, kube::key_of(set), Json{{"status", status}}, "status");
    }
  }
  for (const auto& pod : pods->at("items")) {
    const std::pair place(kube::label(pod, render::kGroupOfObject), pod.at("spec").value("nodeName", ""));
    if (wanted.contains(place) && kube::metadata(pod, "deletionTimestamp").empty()) {
      there.insert(place);
      run_pod(pod);
    } else {
      remove_pod(pod);
    }
  }
  for (const auto& [group, node] : wanted) {
    if (!there.contains({group, node})) make_pod(*set_of[group], node);
  }
}

// As the DaemonSets' controller does, one Event for each try.
bool DaemonSets::refuse(const Json& set) {
  std::string words;
  {
    const std::lock_guard lock(mutex_);
    words = refusal_;
  }
  if (words.empty()) return false;
  const Json about{{"kind", "DaemonSet"}, {"name", kube::metadata(set, "name")}, {"namespace", ns_}, {"uid", kube::metadata(set, "uid")}};
  client_.create(kube::kCoreEvents,
                 Json{{"metadata", {{"name", fmt::format("refused.{}", ++refusals_)}, {"namespace", ns_}}},
                      {"involvedObject", about},
                      {"reason", "FailedCreate"},
                      {"message", words},
                      {"type", "Warning"},
                      {"lastTimestamp", fmt::format("2020-01-01T00:{:02}:{:02}Z", refusals_ / 60 % 60, refusals_ % 60)}});
  return true;
}

void DaemonSets::make_pod(const Json& set, const std::string& node) {
  if (held_ || refuse(set)) return;
  const Json& pod_template = set.at("spec").at("template");
  Json metadata = pod_template.at("metadata");
  metadata["name"] = fmt::format("{}-{}", kube::metadata(set, "name"), node);
  metadata["namespace"] = ns_;
  metadata["labels"]["pod-template-generation"] = kube::annotation(set, "deprecated.daemonset.template.generation");
  if (metadata["labels"]["pod-template-generation"] == "") metadata["labels"].erase("pod-template-generation");
  Json spec{
      {"nodeName", node}, {"terminationGracePeriodSeconds", 0}, {"containers", Json::array({{{"name", "agent"}, {"image", "agent"}}})}};
  client_.create(kube::kPods, Json{{"metadata", std::move(metadata)}, {"spec", std::move(spec)}});
}

void DaemonSets::remove_pod(const Json& pod) {
  {
    const std::lock_guard lock(mutex_);
    if (dead_nodes_.contains(pod.at("spec").value("nodeName", ""))) return;
    hash_at_.erase(pod.value("status", Json::object()).value("podIP", ""));
  }
  client_.remove(kube::kPods, kube::key_of(pod), {});
}

void DaemonSets::run_pod(const Json& pod) {
  std::string address = pod.value("status", Json::object()).value("podIP", "");
  if (address.empty()) {
    {
      const std::lock_guard lock(mutex_);
      address = fmt::format("10.244.{}.{}", next_address_ / 250, next_address_ % 250 + 1);
      ++next_address_;
    }
    Json status{{"phase", "Running"},
                {"podIP", address},
                {"podIPs", Json::array({{{"ip", address}}})},
                {"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})},
                {"containerStatuses", Json::array({{{"name", "agent"},
                                                    {"ready", true},
                                                    {"restartCount", 0},
                                                    {"image", "agent"},
                                                    {"imageID", "agent"},
                                                    {"state", {{"running", Json::object()}}}}})}};
    client_.merge_patch(kube::kPods, kube::key_of(pod), Json{{"status", std::move(status)}}, "status");
  }
  // An agent has what its Secret had when the pod was annotated last.
  const auto hash = kube::annotation(pod, render::kHashAnnotation);
  const std::lock_guard lock(mutex_);
  if (!hash.empty()) hash_at_[address] = hash;
}

}  // namespace cistern::reconcile
