// `cistern-operator standalone` on a folder of policies.
#pragma once

#include <csignal>
#include <fstream>
#include <sstream>

#include "clients_fixture.hpp"

namespace cistern::conformance {

class StandaloneTest : public ::testing::Test {
 protected:
  void write_policy(const std::string& spec) { write_file(folder / "policies/policy.yaml", policy(spec)); }
  static std::string policy(const std::string& spec) {
    return "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: default}\nspec: {" + spec +
           ", storage: {size: 10Gi, minFree: 1%}}\n";
  }
  std::string images_of(const std::string& url, const std::string& name = "docker.io") const {
    return "images: {registries: [{name: \"" + name + "\", tagTTL: 1s, upstreams: [{url: \"" + url + "\"}]}]}";
  }
  void start() {
    program_ = std::make_unique<Process>(
        Command{.arguments = {program("cistern-operator"), "standalone", "--policies", (folder / "policies").string(), "--data",
                              data().string(), "--listen", agent.text()},
                .environment = {"http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}},
        folder / "log");
    ASSERT_TRUE(eventually([&] { return healthy() || !program_->running(); }, std::chrono::seconds(20)));
    ASSERT_TRUE(program_->running()) << log();
  }
  void TearDown() override {
    if (HasFailure()) GTEST_LOG_(INFO) << log();
  }
  bool healthy() const { return get(agent, "/healthz").status == 200; }
  std::string log() const { return read_file(folder / "log"); }
  std::filesystem::path data() const { return folder / "data"; }
  // The agent that the operator runs; 0 if there is none.
  pid_t agent_pid() const {
    const auto parent = std::to_string(program_->pid());
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + parent + "/task")) {
      std::istringstream children(read_file(task.path() / "children"));
      for (pid_t child; children >> child;) {
        if (read_file("/proc/" + std::to_string(child) + "/comm").rfind("cache-agent", 0) == 0) return child;
      }
    }
    return 0;
  }

  TemporaryFolder folder;
  Address agent{"127.0.0.1", free_port("127.0.0.1", 2)};  // and the next port, of the admin listener
  ScriptedUpstream upstream;
  std::unique_ptr<Process> program_;
};

}  // namespace cistern::conformance
