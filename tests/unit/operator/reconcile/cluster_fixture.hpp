// A cluster without controllers and nodes of its own, and operators in it. Each test runs against the fake API server, and against a real
// one where its programs are.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "operator/kube/configuration.hpp"
#include "operator/reconcile/controllers.hpp"
#include "operator/reconcile/counting_client.hpp"
#include "tests/fakes/agent_process/agent.hpp"
#include "tests/unit/operator/reconcile/daemon_sets.hpp"

namespace cistern::reconcile {

inline constexpr const char* kNs = "cistern-system";

// Where the API is.
class Backend {
 public:
  virtual ~Backend() = default;
  // Empty, or why it does not run.
  virtual std::string start() = 0;
  virtual kube::Configuration configuration() const = 0;
  virtual bool restart() = 0;
};
std::unique_ptr<Backend> make_backend(const std::string& kind);  // "fake" or "real"

class RecordedEvents final : public kube::EventRecorder {
 public:
  void record(const Json& object, kube::EventType type, std::string_view reason, std::string_view action, std::string note) override;
  // "Warning CleanupIncomplete policy: note"
  std::vector<std::string> lines() const;
  bool has(const std::string& part) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// One replica, in this process.
class Operator {
 public:
  // `node_program`: nodes are told what to do.
  Operator(const kube::Configuration& configuration, AgentProbe& probe, ControllersOptions options = {}, bool node_program = false);
  ~Operator() { stop(); }

  void lead();  // at once, without an election
  // Once it holds the Lease; 3 s after the last one was heard of.
  void stand_for_election(const std::string& identity);
  // Not a word more to the API server, as if it had been killed.
  void crash() { client_->interrupt(); }
  void stop();
  Controllers& controllers() { return *controllers_; }
  RecordedEvents& events() { return events_; }
  double writes() const { return metrics_.writes(); }
  // Whether it has led and found nothing to do for a while.
  bool at_rest();

 private:
  SystemClock clock_;
  std::unique_ptr<kube::Client> client_;
  Metrics metrics_{"test"};
  std::unique_ptr<CountingClient> counting_;
  RecordedEvents events_;
  std::unique_ptr<Controllers> controllers_;
  std::jthread leading_;
};

class ClusterTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override;

  Operator& start_operator(ControllersOptions options = {}, bool node_program = false);
  void stop_operator() { operator_.reset(); }

  void add_node(const std::string& name, Json labels = Json::object());
  // A policy with one Go upstream, and what else `spec` says.
  void put_policy(const std::string& name, Json spec = Json::object());
  void patch_policy(const std::string& name, const Json& spec);
  Json policy(const std::string& name);
  // Of the policy's condition: "True Reason message"; empty if it is not there.
  std::string condition(const std::string& name, const std::string& type);
  bool is_ready(const std::string& name) { return condition(name, "Ready").starts_with("True"); }
  std::string group_of(const std::string& node);
  std::optional<Json> object(const kube::Resource& resource, const std::string& name);
  std::size_t count(const kube::Resource& resource, const std::string& labels);
  // Nothing of ours but the CRD and the policies.
  bool is_clean();
  static std::string decoded(const Json& secret, const std::string& key);

  template <class Condition>
  static bool eventually(const Condition& condition, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    return fakes::eventually(condition, limit);
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<DaemonSets> daemon_sets_;
  std::unique_ptr<Operator> operator_;
};

}  // namespace cistern::reconcile
