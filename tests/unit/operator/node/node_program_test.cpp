// `cistern-operator node` as a process, with a fake API server and a host's files in a temporary folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "http/server.hpp"
#include "operator/kube/configuration.hpp"
#include "operator/node/config.hpp"
#include "operator/node/lease.hpp"
#include "operator/render/manifests.hpp"
#include "tests/fakes/agent_process/process.hpp"
#include "tests/fakes/api_server/api_server.hpp"
#include "tests/unit/operator/node/tree.hpp"

namespace cistern::node {
namespace {

using kube::Json;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kSpace = "cistern-system";
constexpr const char* kHosts = "/etc/containerd/certs.d/docker.io/hosts.toml";
constexpr const char* kStrictHosts = "/etc/containerd/certs.d/strict.example/hosts.toml";

// Waits at most ten seconds.
template <class Condition>
bool soon(const Condition& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

Awaitable<http::Response> answer_ok(const http::Request&) { co_return http::Response::text(200, "ok"); }

class NodeProgram : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<http::ListenerOptions> listeners(1);
    listeners[0].address = "127.0.0.1:0";
    listeners[0].handler = answer_ok;
    http::ServerOptions options;
    options.threads = 1;
    agent_ = std::move(*http::Server::open(std::move(options), std::move(listeners)));
    agent_->start();

    tree_.write("/etc/containerd/config.toml",
                "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n");
    tree_.write(kHosts, "[host.\"https://theirs.example\"]\n", 0640, 1'500'000'000);
    tree_.write("/etc/containerd/certs.d/docker.io/ca.crt", "theirs");
    before_ = tree_.snapshot();
    std::ofstream(tree_.at("/kubeconfig"))
        << "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
           "clusters: [{name: c, cluster: {server: \""
        << api_.url() << "\"}}]\nusers: [{name: u, user: {}}]\n";
    before_["/kubeconfig"] = tree_.snapshot().at("/kubeconfig");

    config_.group = config_.policy = "default";
    config_.runtimes = {"containerd"};
    config_.listen = "127.0.0.1:" + std::to_string(agent_->port(0));
    config_.mirror = "http://" + config_.listen;
    config_.registries = {{"docker.io", false}, {"strict.example", true}};
    config_.storage_path = "/srv/cistern/default";
    api_.put(kube::kNamespaces, {{"metadata", {{"name", kSpace}}}});
    api_.put(kube::kDaemonSets, {{"metadata", {{"namespace", kSpace}, {"name", "cistern-node"}}}});
    api_.put(kube::kNodes,
             {{"metadata", {{"name", "n1"}, {"labels", Json::object()}}},
              {"status",
               {{"nodeInfo", {{"containerRuntimeVersion", "containerd://2.1.4"}, {"osImage", "Debian"}, {"kubeletVersion", "v1.34.2"}}}}}});
    put_config();
  }
  void TearDown() override {
    process_.reset();
    agent_->drain(std::chrono::milliseconds(100));
    if (HasFailure()) std::cerr << log_;
  }

  void start() {
    process_.emplace(fakes::Command{{fakes::program("cistern-operator"), "node", "--node-name", "n1", "--host-root", tree_.root(),
                                     "--kubeconfig", tree_.at("/kubeconfig"), "--check", "1s"}},
                     tree_.at(kState).string() + ".log");
    ASSERT_TRUE(soon([&] { return process_->output().find("running:") != std::string::npos; })) << process_->output();
  }
  // Ends it by SIGTERM.
  void end() {
    process_->signal(SIGTERM);
    EXPECT_EQ(process_->wait(seconds(10)), 0);
    log_ += process_->output();
    process_.reset();
    fs::remove(tree_.at(kState).string() + ".log");
  }
  void put_config() {
    config_.hash = hash_of(config_);
    api_.put(kube::kConfigMaps,
             {{"metadata", {{"namespace", kSpace}, {"name", "cistern-node-default"}}}, {"data", {{"node.json", to_text(config_)}}}});
  }
  void label(const Json& group) {
    api_.patch(kube::kNodes, {"", "n1"}, {{"metadata", {{"labels", {{std::string(render::kGroupLabel), group}}}}}});
  }
  void grant() {
    api_.patch(kube::kLeases, {kSpace, "cistern-node-n1"},
               {{"metadata", {{"annotations", {{std::string(kGrantedAnnotation), config_.hash}}}}}});
  }
  std::string said(const char* what) {
    const auto lease = api_.object(kube::kLeases, {kSpace, "cistern-node-n1"});
    return lease ? kube::annotation(*lease, std::string("cistern.dev/") + what) : "";
  }
  bool says(const char* what, const std::string& value) {
    return soon([&] { return said(what) == value; });
  }
  void configure() {
    start();
    label("default");
    ASSERT_TRUE(says("state", "Waiting")) << said("state");
    ASSERT_EQ(said("config-hash"), config_.hash);
    EXPECT_EQ(tree_.snapshot().at(kHosts), before_.at(kHosts));
    grant();
    ASSERT_TRUE(says("applied-hash", config_.hash)) << said("message");
  }
  std::map<std::string, std::string> now() {
    auto tree = tree_.snapshot();
    tree.erase(std::string(kState) + ".log");
    return tree;
  }

  fakes::ApiServer api_;
  std::unique_ptr<http::Server> agent_;
  Tree tree_;
  std::map<std::string, std::string> before_;
  Config config_;
  std::optional<fakes::Process> process_;
  std::string log_;
};

TEST_F(NodeProgram, FollowsGroupGrantAndConfigurationAndGoesAway) {
  configure();
  EXPECT_THAT(tree_.read(kHosts), HasSubstr(config_.mirror));
  EXPECT_THAT(tree_.read(kHosts), HasSubstr("https://theirs.example"));
  EXPECT_THAT(tree_.read(kStrictHosts), HasSubstr("server = "));
  EXPECT_EQ(said("runtime"), "containerd://2.1.4");
  EXPECT_EQ(said("group"), "default");
  EXPECT_EQ(said("failures"), "0");

  // Drift is seen at once.
  tree_.write(kHosts, "by hand");
  EXPECT_TRUE(says("repairs", "1"));
  EXPECT_TRUE(soon([&] { return !api_.objects(kube::kEvents).empty(); }));

  // Another configuration needs another grant.
  config_.registries = {{"docker.io", false}};
  put_config();
  ASSERT_TRUE(says("config-hash", config_.hash));
  EXPECT_TRUE(tree_.exists(kStrictHosts));
  grant();
  ASSERT_TRUE(says("applied-hash", config_.hash));
  EXPECT_FALSE(tree_.exists(kStrictHosts));

  // Out of the group.
  label(nullptr);
  ASSERT_TRUE(says("applied-hash", "none"));
  EXPECT_EQ(now(), before_);
  end();
}

TEST_F(NodeProgram, RestoresWhenTheConfigurationIsDeletedOrCisternIsUninstalled) {
  configure();
  api_.remove(kube::kConfigMaps, {kSpace, "cistern-node-default"});
  ASSERT_TRUE(says("applied-hash", "none"));
  EXPECT_EQ(now(), before_);
  put_config();
  ASSERT_TRUE(says("applied-hash", config_.hash));
  api_.put(kube::kConfigMaps, {{"metadata", {{"namespace", kSpace}, {"name", std::string(kUninstallConfigMap)}}}});
  ASSERT_TRUE(says("applied-hash", "none"));
  EXPECT_EQ(now(), before_);
  end();
}

TEST_F(NodeProgram, AtSigtermFilesStayWhileTheDaemonSetDoes) {
  configure();
  const auto applied = now();
  end();
  EXPECT_EQ(now(), applied);
  // And the next one takes over where this one was.
  api_.forget_requests();
  start();
  ASSERT_TRUE(api_.wait_for("PATCH", "/leases/", 1));
  EXPECT_EQ(said("applied-hash"), config_.hash);
  EXPECT_EQ(now(), applied);
  end();
}

TEST_F(NodeProgram, AtSigtermFilesGoWithTheDaemonSet) {
  configure();
  api_.remove(kube::kDaemonSets, {kSpace, "cistern-node"});
  end();
  EXPECT_EQ(now(), before_);
  EXPECT_EQ(said("applied-hash"), "none");
}

TEST_F(NodeProgram, AtSigtermFilesGoWithTheNamespaceAndWithAnAccountThatIsRefused) {
  configure();
  api_.put(kube::kNamespaces, {{"metadata", {{"name", kSpace}, {"finalizers", {"kubernetes"}}}}});
  kube::Configuration where;
  where.server = api_.url();
  ASSERT_TRUE((*kube::make_client(where, {}))->remove(kube::kNamespaces, {"", kSpace}));
  end();
  EXPECT_EQ(now(), before_);
  ASSERT_EQ(said("applied-hash"), "none");
  api_.remove(kube::kNamespaces, {"", kSpace});
  start();
  grant();
  ASSERT_TRUE(says("applied-hash", config_.hash));
  api_.add_fault({.times = 0, .status = 401});
  end();
  EXPECT_EQ(now(), before_);
}

TEST_F(NodeProgram, AtSigtermWithoutAnApiServerStrictFilesFallBack) {
  configure();
  api_.go_down();
  end();
  EXPECT_THAT(tree_.read(kStrictHosts), Not(HasSubstr("server =")));
  EXPECT_THAT(tree_.read(kHosts), HasSubstr(config_.mirror));
}

TEST_F(NodeProgram, RestoresByHandWithoutAnApiServer) {
  configure();
  process_->kill();
  log_ += process_->output();
  process_.reset();
  fs::remove(tree_.at(kState).string() + ".log");
  api_.go_down();
  const std::string program = fakes::program("cistern-operator");
  auto ended = fakes::run({{program, "node", "--restore", "--host-root", tree_.root()}});
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(std::string("put back as before: ") + kHosts));
  EXPECT_EQ(now(), before_);
  ended = fakes::run({{program, "node", "--restore", "--host-root", tree_.root()}});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.output, HasSubstr("no file of ours is on this node"));
}

}  // namespace
}  // namespace cistern::node
