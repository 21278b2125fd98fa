// Plays what a cluster does with DaemonSets, where there is only an API server: the DaemonSet controller (a pod for each node with the
// label, pods of DaemonSets that are gone go), the kubelets (pods run, become ready, read their Secret again when they are annotated) and
// the agents themselves (their answers).
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "operator/kube/client.hpp"
#include "operator/reconcile/agents.hpp"

namespace cistern::reconcile {

class DaemonSets final : public AgentProbe {
 public:
  // Plays on a thread of its own, until it is destroyed.
  DaemonSets(kube::Client& client, std::string ns);
  ~DaemonSets() override;

  // Nodes on which nothing ends any more.
  void kill_node(const std::string& name);
  // From now on no pod can be made, for this reason; empty: it can again.
  void refuse_pods(std::string words);
  // For as long as this is so none is made, and nothing is said of it: as in the moment in which an ended pod is replaced.
  void hold_pods(bool hold) { held_ = hold; }
  // What every agent has counted since its start.
  void set_counters(AgentReport counters);

  // AgentProbe
  std::vector<Result<AgentReport>> ask(const std::vector<std::string>& addresses, std::uint16_t port,
                                       std::chrono::milliseconds limit) override;

 private:
  void play();
  // True: pods are refused now.
  bool refuse(const kube::Json& daemon_set);
  void make_pod(const kube::Json& daemon_set, const std::string& node);
  void remove_pod(const kube::Json& pod);
  void run_pod(const kube::Json& pod);

  kube::Client& client_;
  const std::string ns_;
  std::mutex mutex_;
  std::set<std::string> dead_nodes_;
  std::map<std::string, std::string> hash_at_;  // address → what the agent there has in force
  AgentReport counters_;
  std::atomic<bool> held_ = false;
  std::string refusal_;
  unsigned refusals_ = 0;
  unsigned next_address_ = 1;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace cistern::reconcile
