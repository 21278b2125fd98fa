#include "operator/reconcile/agent_poller.hpp"

#include <algorithm>
#include <set>

#include "operator/reconcile/agent_pod.hpp"

namespace cistern::reconcile {
namespace {

constexpr milliseconds kTick{250};
constexpr milliseconds kFast{500};
constexpr milliseconds kSlow{15000};  // and up to as much again, different for each agent
constexpr milliseconds kLimit{2000};
constexpr unsigned kForgetAfter = 3;  // failures

milliseconds slow_pause(const std::string& uid) { return kSlow + milliseconds(std::hash<std::string>()(uid) % kSlow.count()); }

milliseconds failed_pause(unsigned failures) { return std::min(kSlow, kFast * (1U << std::min(failures - 1, 5U))); }

bool is_on_reachable_node(const Json& pod, const Cluster& cluster) {
  const auto node = cluster.nodes().get({"", pod.at("spec").value("nodeName", "")});
  return node && is_reachable(*node);
}

bool same(const UpstreamState& a, const UpstreamState& b) {
  return a.name == b.name && a.state == b.state && a.error == b.error && a.canary_withdrawn == b.canary_withdrawn;
}

bool shows_the_same(const AgentPoller::Seen& a, const AgentPoller::Seen& b) {
  if (a.report.has_value() != b.report.has_value() || a.no_answer != b.no_answer) return false;
  return !a.report ||
         (a.report->config_hash == b.report->config_hash && a.report->version == b.report->version &&
          std::ranges::equal(a.report->upstreams, b.report->upstreams, [](const auto& x, const auto& y) { return same(x, y); }));
}

}  // namespace

AgentPoller::AgentPoller(AgentProbe& probe, const Clock& clock, const Cluster& cluster, const State& state, Changed changed)
    : probe_(probe), clock_(clock), cluster_(cluster), state_(state), changed_(std::move(changed)) {}

void AgentPoller::start() {
  thread_ = std::thread([this] { run(); });
}

void AgentPoller::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void AgentPoller::run() {
  for (;;) {
    round();
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, kTick, [this] { return stopping_; })) return;
  }
}

void AgentPoller::find_candidates() {
  const std::pair changes(cluster_.pods().changes(), cluster_.nodes().changes());
  if (changes == seen_changes_) return;
  seen_changes_ = changes;
  candidates_.clear();
  std::set<std::string> there;
  for (const auto& pod : cluster_.pods().all()) {
    auto uid = kube::metadata(*pod, "uid");
    there.insert(uid);
    // Asking a node that does not answer takes the whole limit, and tells nothing.
    if (!can_be_asked(*pod) || !is_on_reachable_node(*pod, cluster_)) continue;
    candidates_.push_back(
        {std::move(uid), kube::label(*pod, kByPolicy), kube::label(*pod, kByGroup), pod->at("status").at("podIP").get<std::string>()});
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(records_, [&](const auto& item) {
    if (there.contains(item.first)) return false;
    totals_.forget_pod(item.second.policy, item.first);
    return true;
  });
}

std::vector<AgentPoller::Question> AgentPoller::due() {
  find_candidates();
  const auto now = clock_.steady();
  const auto desired = state_.desired();
  std::map<std::string, std::string> wanted_of;  // by group
  for (const auto& group : desired->plan.groups) {
    if (auto result = state_.group(group.name)) wanted_of.emplace(group.name, std::move(result->config_hash));
  }
  std::vector<Question> questions;
  const std::lock_guard lock(mutex_);
  for (const auto& [uid, policy, group, address] : candidates_) {
    const auto* entry = desired->policy(policy);
    if (entry == nullptr || entry->deleting) continue;
    const auto [known, fresh] = records_.try_emplace(uid);
    auto& record = known->second;
    if (fresh) {
      record.policy = policy;
      record.known_before = first_round_;
      totals_.begin(policy, entry->object->value("status", Json()));
    }
    const auto found = wanted_of.find(group);
    const std::string wanted = found == wanted_of.end() ? std::string() : found->second;
    const bool hurry = record.failures == 0 && record.seen.report && record.seen.report->config_hash != wanted;
    if (now < record.next && !(hurry && now >= record.asked + kFast)) continue;
    record.asked = now;
    questions.push_back({uid, policy, address, wanted});
  }
  first_round_ = false;
  return questions;
}

void AgentPoller::take(const Question& question, const Result<AgentReport>& answer) {
  bool soon = false;
  bool later = false;
  {
    const std::lock_guard lock(mutex_);
    const auto known = records_.find(question.uid);
    if (known == records_.end()) return;
    auto& record = known->second;
    const Seen before = record.seen;
    if (answer) {
      record.failures = 0;
      record.seen = {*answer, ""};
      record.next = clock_.steady() + (answer->config_hash == question.wanted ? slow_pause(question.uid) : kFast);
      later = totals_.add(question.policy, question.uid, *answer, record.known_before);
      record.known_before = false;
    } else {
      ++record.failures;
      record.next = clock_.steady() + failed_pause(record.failures);
      // Messages of one failure may differ in numbers, which are no news.
      if (record.seen.no_answer.empty() || record.error != answer.error().code) record.seen.no_answer = answer.error().message;
      record.error = answer.error().code;
      if (record.failures >= kForgetAfter) record.seen.report.reset();
    }
    soon = !shows_the_same(before, record.seen);
  }
  if (soon || later) changed_(question.policy, soon);
}

void AgentPoller::round() {
  const auto questions = due();
  if (!questions.empty()) {
    std::vector<std::string> addresses;
    addresses.reserve(questions.size());
    for (const auto& question : questions) addresses.push_back(question.address);
    const auto answers = probe_.ask(addresses, render::kAdminPort, kLimit);
    for (std::size_t i = 0; i < questions.size() && i < answers.size(); ++i) take(questions[i], answers[i]);
  }
  if (has_asked_.exchange(true)) return;
  const auto desired = state_.desired();
  for (const auto& [name, entry] : desired->policies) changed_(name, true);
}

AgentPoller::Seen AgentPoller::seen(const std::string& pod_uid) const {
  const std::lock_guard lock(mutex_);
  const auto known = records_.find(pod_uid);
  return known == records_.end() ? Seen() : known->second.seen;
}

}  // namespace cistern::reconcile
