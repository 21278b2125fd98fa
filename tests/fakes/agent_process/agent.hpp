// A real cache-agent with a configuration made for the test. One thread.
//
//   Agent agent({.go = "views: [{upstreams: [{url: " + upstream.url() + "}], sumDB: {mode: Off}}]"});
//   ASSERT_TRUE(agent.start()) << agent.log();
//   get(agent.node(), "/go/…");
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "tests/fakes/places/places.hpp"
#include "tests/fakes/agent_process/process.hpp"
#include "tests/fakes/http_client/http_client.hpp"

namespace cistern::fakes {

// YAML in flow style, as it stands in the agent's file behind the name. Empty: the section is left out.
struct AgentSetup {
  std::string go = {};
  std::string images = {};
  std::string timeouts = "{connect: 500ms, firstByte: 3s, idle: 3s}";
  std::string breaker = "{failures: 1000, openFor: 1s}";
  unsigned retries = 0;  // so that requests can be counted
  std::string peers = {};
  std::string storage = {};       // more fields of storage, as in "size: 1Mi, "
  std::string storage_path = {};  // empty: a folder of the test's
  std::string server = {};        // more fields of server
  std::string listeners = {};     // more fields of listeners
  std::string rate_limit = {};
  std::string selection = {};
  bool separate_listeners = false;  // node and pods apart, as in a cluster; else one address serves both
  std::string host = "127.0.0.1";
};

class Agent {
 public:
  explicit Agent(AgentSetup setup);

  // Writes the configuration, starts the program and waits for /healthz on every listener. False if it ends instead, or is not ready in
  // time.
  bool start();
  // SIGTERM; the exit code, or empty if it has not ended within the limit.
  std::optional<int> stop(std::chrono::milliseconds limit = std::chrono::seconds(15));
  void kill() { process_.reset(); }
  Process& process() { return *process_; }
  bool running() { return process_ && process_->running(); }

  // To be changed before start() or reload(). Ports and folders stay.
  AgentSetup& setup() { return setup_; }
  std::string configuration() const;
  // Writes the configuration and waits until /healthz answers with another hash. False if that does not come within the limit.
  bool reload(std::chrono::milliseconds limit = std::chrono::seconds(2));
  // A file beside the configuration: credentials, keys, certificates.
  void add_file(const std::string& name, std::string_view content) { write_file(folder_ / name, content); }

  const Address& node() const { return node_; }
  const Address& pods() const { return setup_.separate_listeners ? pods_ : node_; }
  const Address& admin() const { return admin_; }
  std::filesystem::path folder() const { return folder_.path(); }
  std::filesystem::path storage() const;
  std::filesystem::path configuration_file() const { return folder_ / "agent.yaml"; }
  std::string log() const { return read_file(folder_ / "log"); }
  bool healthy() const { return get(node_, "/healthz").status == 200; }
  // "cistern_store_bytes" or "name{label=\"x\"}": its value; absent if there is no such line.
  std::optional<double> metric(const std::string& name) const;
  // The body of /healthz, which holds the configuration's hash.
  std::string health() const { return get(node_, "/healthz").body; }

 private:
  AgentSetup setup_;
  TemporaryFolder folder_;
  Address node_, pods_, admin_;
  std::unique_ptr<Process> process_;
};
// Whether a condition comes true within the limit; it is looked at every 10 ms.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(5)) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace cistern::fakes
