// Plays `cistern-operator node` on every node of a cluster that has only an API server: reads the node's label, its group's ConfigMap and
// its own Lease, and says in the Lease what it does, as the true one does (operator/node/decide.hpp decides here too).
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "operator/kube/client.hpp"

namespace cistern::reconcile {

class NodePrograms {
 public:
  // Plays on a thread of its own, until it is destroyed.
  NodePrograms(kube::Client& client, std::string ns);
  ~NodePrograms();

  // Its Lease is not renewed any more, and nothing happens on it.
  void silence(const std::string& node);
  // It can not apply this configuration; empty: any.
  void let_fail(const std::string& node);
  void make_unsupported(const std::string& node, const std::string& message);
  // While this is so nothing is put back.
  void hold_restores(bool hold) { held_ = hold; }
  // The most nodes that were between two configurations at one time.
  std::size_t most_in_change() const { return most_in_change_; }
  // "n1 none -> 0123…", in order.
  std::vector<std::string> history() const;

 private:
  struct Node {
    std::string applied = "none";
    unsigned failures = 0;
    std::string written;  // the Lease's annotations, as written last
    int working = 0;      // rounds that an application still takes
  };
  void play();
  void play_on(const std::string& name, bool uninstalling, Node& node, const std::string& group);

  kube::Client& client_;
  const std::string ns_;
  mutable std::mutex mutex_;
  std::map<std::string, Node> nodes_;
  std::set<std::string> silent_, failing_;
  std::map<std::string, std::string> unsupported_;
  std::vector<std::string> history_;
  std::atomic<bool> held_ = false;
  std::atomic<std::size_t> most_in_change_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace cistern::reconcile
