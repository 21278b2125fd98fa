// Files as they are laid out, read by the programs that they are for: skopeo, which reads registries.conf with CRI-O's own library, and
// containerd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "http/server.hpp"
#include "operator/node/layout.hpp"
#include "operator/render/runtime.hpp"
#include "tests/fakes/agent_process/process.hpp"
#include "tests/unit/operator/node/tree.hpp"

namespace cistern::node {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Knows no image, and notes who asks for one.
class Registry {
 public:
  Registry() {
    std::vector<http::ListenerOptions> listeners(1);
    listeners[0].address = "127.0.0.1:0";
    listeners[0].handler = [this](const http::Request& request) { return answer(request); };
    http::ServerOptions options;
    options.threads = 1;
    server_ = std::move(*http::Server::open(std::move(options), std::move(listeners)));
    server_->start();
  }
  ~Registry() { server_->drain(std::chrono::milliseconds(100)); }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port(0)); }
  // Paths of manifests, each once.
  std::vector<std::string> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  Awaitable<http::Response> answer(const http::Request& request) {
    const std::string path(request.path());
    if (path == "/v2/") co_return http::Response::text(200, "ok");
    {
      const std::lock_guard lock(mutex_);
      if (path.find("/manifests/") != std::string::npos && std::ranges::find(asked_, path) == asked_.end()) asked_.push_back(path);
    }
    co_return http::Response::text(404, "not here");
  }
  mutable std::mutex mutex_;
  std::vector<std::string> asked_;
  std::unique_ptr<http::Server> server_;
};

class RealRuntimes : public testing::Test {
 protected:
  std::vector<DesiredFile> lay(const std::string& runtime, std::vector<RegistryConfig> registries) {
    Config config;
    config.runtimes = {"containerd", "crio"};
    config.listen = registry_.address();
    config.mirror = "http://" + config.listen;
    config.registries = std::move(registries);
    auto keeper = Keeper::open(files_, tree_.root(), kState);
    const HostFacts facts{runtime, "Debian", "v1.34.2"};
    auto layout = lay_out(tree_.root(), config, detect(tree_.root(), facts, config, "/etc/containerd/config.toml"), *keeper);
    EXPECT_TRUE(keeper->apply(layout.files, Form::kFull, ""));
    return layout.files;
  }

  Tree tree_;
  RealFileSystem files_;
  Registry registry_;
};

TEST_F(RealRuntimes, SkopeoAsksTheAgentThenWhatItAskedBefore) {
  if (fakes::find_program("skopeo").empty()) GTEST_SKIP() << "skopeo is not installed";
  tree_.write("/etc/containers/registries.conf.d/theirs.conf",
              "[[registry]]\nprefix = \"soft.invalid\"\nlocation = \"" + registry_.address() +
                  "/home\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"" + registry_.address() + "/theirs\"\ninsecure = true\n");
  const auto files = lay("cri-o://1.30.1", {{"soft.invalid", false}, {"strict.invalid", true}, {"port.invalid:5000", true}});
  ASSERT_EQ(files.size(), 1U);
  for (const char* image : {"docker://soft.invalid/x/y:1", "docker://strict.invalid/x/y:1", "docker://port.invalid:5000/x/y:1"}) {
    const auto ended = fakes::run({{"skopeo", "--registries-conf", tree_.at(std::string(kCrioFile)), "inspect", image}});
    EXPECT_NE(ended.code, 0);
  }
  EXPECT_THAT(registry_.asked(), ElementsAre("/v2/soft.invalid/x/y/manifests/1", "/v2/theirs/x/y/manifests/1", "/v2/home/x/y/manifests/1",
                                             "/v2/strict.invalid/x/y/manifests/1", "/v2/port.invalid_5000/x/y/manifests/1"));
}

TEST_F(RealRuntimes, ContainerdAsksTheAgentThenWhatItAskedBefore) {
  if (fakes::find_program("containerd").empty() || fakes::find_program("ctr").empty()) GTEST_SKIP() << "containerd is not installed";
  if (::geteuid() != 0) GTEST_SKIP() << "containerd needs root";
  const std::string certs = "/etc/containerd/certs.d/";
  tree_.write("/etc/containerd/config.toml",
              "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n");
  tree_.write(certs + "soft.invalid:5000/hosts.toml",
              fmt::format("server = \"http://{0}/last\"\n[host.\"http://{0}/zz\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
                          "[host.\"http://{0}/zz\".header]\nx-note = \"1\"\n[host.\"http://{0}/aa\"]\n",
                          registry_.address()));
  lay("containerd://1.6.20", {{"soft.invalid:5000", false}, {"strict.invalid", true}});
  const auto socket = tree_.at("/c.sock").string();
  tree_.write("/c.toml",
              fmt::format("version = 2\nroot = \"{0}/lib\"\nstate = \"{0}/run\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
                          "[grpc]\naddress = \"{1}\"\n[ttrpc]\naddress = \"{1}.ttrpc\"\n",
                          tree_.root().string(), socket));
  fakes::Process containerd({{"containerd", "--config", tree_.at("/c.toml")}}, tree_.at("/c.log"));
  for (int i = 0; i < 200 && fakes::run({{"ctr", "--address", socket, "version"}}).code != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (const char* image : {"soft.invalid:5000/x/y:1", "strict.invalid/x/y:1"}) {
    const auto ended = fakes::run({{"ctr", "--address", socket, "images", "pull", "--hosts-dir", tree_.at(certs), image}});
    EXPECT_NE(ended.code, 0);
  }
  EXPECT_THAT(registry_.asked(),
              ElementsAre("/v2/x/y/manifests/1", "/zz/v2/x/y/manifests/1", "/aa/v2/x/y/manifests/1", "/last/v2/x/y/manifests/1"));
  // The same request again for the strict one, which went nowhere else: its name does not resolve, and containerd did not try.
  const auto strict = fakes::run({{"ctr", "--address", socket, "images", "pull", "--hosts-dir", tree_.at(certs), "strict.invalid/x/z:1"}});
  EXPECT_THAT(strict.output, testing::HasSubstr("not found"));
  EXPECT_EQ(registry_.asked().back(), "/v2/x/z/manifests/1");
}

}  // namespace
}  // namespace cistern::node
