#include "operator/node/worker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "operator/node/storage.hpp"
#include "tests/fakes/manual_clock.hpp"
#include "tests/unit/operator/node/faulty_file_system.hpp"
#include "tests/unit/operator/node/tree.hpp"

namespace cistern::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class FakeHost final : public Host {
 public:
  Result<void> probe(const std::string& mirror) override {
    ++probes;
    if (probes > fail_after) return fail(ErrorCode::kUnavailable, "GET {}/v2/: refused", mirror);
    if (on_probe) on_probe();
    return {};
  }
  Result<void> reload_crio() override {
    ++reloads;
    return {};
  }
  Result<void> restart_containerd() override {
    ++restarts;
    if (restart_fails) return fail(ErrorCode::kUnavailable, "it did not start");
    return {};
  }
  int probes = 0, reloads = 0, restarts = 0;
  int fail_after = 1'000'000;
  bool restart_fails = false;
  std::function<void()> on_probe;
};

constexpr const char* kDockerFile = "/etc/containerd/certs.d/docker.io/hosts.toml";
constexpr const char* kStrictFile = "/etc/containerd/certs.d/strict.example/hosts.toml";
constexpr const char* kCache = "/var/lib/cistern/default";

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    tree_.write("/etc/containerd/config.toml",
                "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n");
    before_ = tree_.snapshot();
    config_.group = config_.policy = "default";
    config_.runtimes = {"containerd", "crio"};
    config_.listen = "127.0.0.1:5050";
    config_.mirror = "http://127.0.0.1:5050";
    config_.registries = {{"docker.io", false}};
    config_.storage_path = kCache;
    view_.uninstall_known = view_.node_known = view_.config_known = true;
    view_.group = "default";
    view_.facts = {"containerd://2.1.4", "Debian", "v1.34.2"};
    start();
  }
  void start() {
    worker_.reset();
    keeper_.reset();
    auto keeper = Keeper::open(files_, tree_.root(), kState);
    if (!keeper) throw std::runtime_error(keeper.error().message);
    keeper_.emplace(std::move(*keeper));
    WorkerSettings settings;
    settings.root = tree_.root();
    settings.agent_patience = milliseconds(0);
    worker_.emplace(
        *keeper_, host_, clock_,
        [this](bool, const char* reason, const char*, const std::string& note) { events_.push_back(std::string(reason) + ": " + note); },
        settings);
  }
  Report round(bool granted = true) {
    config_.hash = hash_of(config_);
    view_.config = to_text(config_);
    view_.granted = granted ? config_.hash : "";
    return worker_->round(view_);
  }
  bool root_user() const { return ::geteuid() == 0; }

  Tree tree_;
  std::map<std::string, std::string> before_;
  FaultyFileSystem files_;
  std::optional<Keeper> keeper_;
  FakeHost host_;
  fakes::ManualClock clock_;
  std::vector<std::string> events_;
  Config config_;
  View view_;
  std::optional<Worker> worker_;
};

TEST_F(WorkerTest, AppliesOnlyWhatItWasGranted) {
  auto report = round(false);
  EXPECT_EQ(report.state, "Waiting");
  EXPECT_EQ(report.applied_hash, "none");
  EXPECT_FALSE(report.busy);
  EXPECT_EQ(tree_.snapshot(), before_);
  report = round();
  EXPECT_EQ(report.state, "Applied");
  EXPECT_EQ(report.applied_hash, config_.hash);
  EXPECT_EQ(report.runtime, "containerd://2.1.4");
  EXPECT_THAT(tree_.read(kDockerFile), HasSubstr("http://127.0.0.1:5050"));
  EXPECT_THAT(events_, Contains(HasSubstr("RuntimeConfigured")));
  const auto writes = events_.size();
  round();
  EXPECT_EQ(events_.size(), writes);
}

TEST_F(WorkerTest, BeginsNothingWhileTheAgentDoesNotAnswer) {
  host_.fail_after = 0;
  const auto report = round();
  EXPECT_EQ(report.state, "Waiting");
  EXPECT_THAT(report.message, HasSubstr("waits for this node's agent"));
  EXPECT_EQ(report.failures, 0U);
  EXPECT_TRUE(report.busy);
  EXPECT_EQ(tree_.snapshot(), before_);
}

TEST_F(WorkerTest, TakesTheChangeBackIfTheAgentStopsAnsweringAndTriesAgainLater) {
  host_.fail_after = 1;
  auto report = round();
  EXPECT_EQ(report.state, "Failed");
  EXPECT_EQ(report.failures, 1U);
  EXPECT_EQ(report.applied_hash, "none");
  EXPECT_FALSE(tree_.exists(kDockerFile));
  EXPECT_THAT(events_, Contains(HasSubstr("ApplyFailed")));
  host_.fail_after = 1'000'000;
  const auto probes = host_.probes;
  report = round();
  EXPECT_EQ(report.state, "Failed") << "it rests";
  EXPECT_EQ(host_.probes, probes);
  clock_.advance(seconds(3));
  report = round();
  EXPECT_EQ(report.state, "Applied");
  EXPECT_EQ(report.failures, 0U);
}

TEST_F(WorkerTest, AnAgentThatIsAwayLaterChangesNothing) {
  round();
  const auto applied = tree_.snapshot();
  host_.fail_after = 0;
  clock_.advance(seconds(600));
  EXPECT_EQ(round().state, "Applied");
  EXPECT_EQ(tree_.snapshot(), applied);
}

TEST_F(WorkerTest, StrictFilesComeOnlyAfterTheProbe) {
  config_.registries.push_back({"strict.example", true});
  std::string seen;
  host_.on_probe = [&] { seen = tree_.read(kStrictFile); };
  EXPECT_EQ(round().state, "Applied");
  EXPECT_THAT(seen, HasSubstr("[host."));
  EXPECT_THAT(seen, Not(HasSubstr("server =")));
  EXPECT_THAT(tree_.read(kStrictFile), HasSubstr("server = \"http://127.0.0.1:5050\""));
}

TEST_F(WorkerTest, AFullDiskIsSaidAndTakenBack) {
  for (unsigned step = 0; step < 60; ++step) {
    files_.set(FaultyFileSystem::Fault::kNoSpace, step, true);
    const auto report = round();
    files_.set(FaultyFileSystem::Fault::kNone, 0);
    if (report.state == "Applied") break;
    ASSERT_LT(step, 59U);
    ASSERT_EQ(report.state, "Failed");
    ASSERT_THAT(report.message, HasSubstr("No space left"));
    ASSERT_FALSE(tree_.exists(kDockerFile));
    clock_.advance(seconds(600));
  }
  EXPECT_TRUE(tree_.exists(kDockerFile));
}

TEST_F(WorkerTest, PutsEverythingBackWhenTheNodeLeavesItsGroup) {
  round();
  view_.group = "";
  view_.config_known = false;
  view_.config.reset();
  host_.fail_after = 0;
  const auto report = worker_->round(view_);
  EXPECT_EQ(report.state, "Restored");
  EXPECT_EQ(report.applied_hash, "none");
  EXPECT_FALSE(tree_.exists(kDockerFile));
  if (root_user()) {
    fs::remove(tree_.at("/var/lib/cistern"));
    EXPECT_EQ(tree_.snapshot(), before_);
  }
}

TEST_F(WorkerTest, AConfigurationThatIsGoneForAMomentIsWaitedFor) {
  round();
  view_.config.reset();
  auto report = worker_->round(view_);
  EXPECT_EQ(report.state, "Unknown");
  EXPECT_TRUE(tree_.exists(kDockerFile));
  EXPECT_LE(report.next - clock_.steady(), seconds(2));
  clock_.advance(seconds(3));
  report = worker_->round(view_);
  EXPECT_EQ(report.state, "Restored");
  EXPECT_FALSE(tree_.exists(kDockerFile));
}

TEST_F(WorkerTest, ReportTouchesNothingAndSaysWhatItWouldDo) {
  config_.mode = Mode::kReport;
  const auto report = round();
  EXPECT_EQ(report.state, "Reported");
  EXPECT_EQ(report.applied_hash, "none");
  EXPECT_THAT(report.message, HasSubstr(std::string("would write ") + kDockerFile));
  EXPECT_EQ(tree_.snapshot(), before_);
}

TEST_F(WorkerTest, DriftIsMendedCountedAndToldAlsoWithoutAnApiServer) {
  round();
  tree_.write(kDockerFile, "by hand");
  const auto report = worker_->round({});
  EXPECT_EQ(report.repairs, 1U);
  EXPECT_EQ(report.drift, 0U);
  EXPECT_EQ(worker_->counters().drift, 1U);
  EXPECT_THAT(events_, Contains(HasSubstr("DriftRepaired: /etc/containerd/certs.d/docker.io/hosts.toml")));
  EXPECT_THAT(tree_.read(kDockerFile), HasSubstr("managed by cistern"));
}

TEST_F(WorkerTest, DoesNotFightForever) {
  round();
  for (int i = 0; i < 20; ++i) {
    tree_.write(kDockerFile, "by another program");
    round();
  }
  EXPECT_EQ(worker_->counters().drift, 5U);
  EXPECT_EQ(round().drift, 1U);
  clock_.advance(seconds(61));
  round();
  EXPECT_EQ(worker_->counters().drift, 6U);
}

TEST_F(WorkerTest, AnUnmanagedFileIsLeftAndReported) {
  round();
  tree_.write(kDockerFile, "# cistern: unmanaged\n");
  const auto report = round();
  EXPECT_EQ(report.drift, 1U);
  EXPECT_THAT(report.message, HasSubstr("left alone, as marked: /etc/containerd/certs.d/docker.io/hosts.toml"));
  EXPECT_EQ(tree_.read(kDockerFile), "# cistern: unmanaged\n");
}

TEST_F(WorkerTest, ANodeThatCanNotBeConfiguredSaysWhy) {
  view_.facts.kubelet = "v1.30.4+k3s1";
  const auto report = round();
  EXPECT_EQ(report.state, "Unsupported");
  EXPECT_THAT(report.message, HasSubstr("/etc/rancher/k3s/registries.yaml"));
  EXPECT_EQ(tree_.snapshot(), before_);
}

TEST_F(WorkerTest, AnInvalidConfigurationChangesNothing) {
  round();
  view_.config = "{}";
  EXPECT_EQ(worker_->round(view_).state, "Invalid");
  EXPECT_TRUE(tree_.exists(kDockerFile));
}

TEST_F(WorkerTest, ContainerdIsRestartedOnlyWhenAskedForAndGetsItsFileBackIfItDoesNotStart) {
  tree_.write("/etc/containerd/config.toml", "version = 3\n");
  EXPECT_EQ(round().state, "Unsupported");
  EXPECT_EQ(host_.restarts, 0);
  config_.configure_containerd = true;
  host_.restart_fails = true;
  EXPECT_EQ(round().state, "Failed");
  EXPECT_EQ(host_.restarts, 2);
  EXPECT_EQ(tree_.read("/etc/containerd/config.toml"), "version = 3\n");
  host_.restart_fails = false;
  clock_.advance(seconds(10));
  EXPECT_EQ(round().state, "Applied");
  EXPECT_EQ(host_.restarts, 3);
  EXPECT_THAT(tree_.read("/etc/containerd/config.toml"), HasSubstr("config_path = \"/etc/containerd/certs.d\""));
  EXPECT_EQ(round().state, "Applied");
  EXPECT_EQ(host_.restarts, 3);
}

TEST_F(WorkerTest, CrioIsToldOfEachChange) {
  view_.facts.runtime = "cri-o://1.30.1";
  EXPECT_EQ(round().state, "Applied");
  EXPECT_TRUE(tree_.exists(std::string(kCrioFile)));
  EXPECT_EQ(host_.reloads, 1);
  view_.uninstalling = true;
  EXPECT_EQ(round().applied_hash, "none");
  EXPECT_EQ(host_.reloads, 2);
}

TEST_F(WorkerTest, AnotherRuntimeGetsItsOwnFilesAndTheFormerOnesGo) {
  round();
  EXPECT_TRUE(tree_.exists(kDockerFile));
  view_.facts.runtime = "cri-o://1.30.1";
  const auto report = round();
  EXPECT_EQ(report.state, "Applied");
  EXPECT_FALSE(tree_.exists(kDockerFile));
  EXPECT_TRUE(tree_.exists(std::string(kCrioFile)));
  const auto applies = worker_->counters().applies;
  round();
  EXPECT_EQ(worker_->counters().applies, applies);
  view_.facts.runtime = "containerd://2.1.4";
  tree_.write("/etc/containerd/config.toml",
              "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/other.d'\n");
  round();
  EXPECT_TRUE(tree_.exists("/etc/containerd/other.d/docker.io/hosts.toml"));
  EXPECT_FALSE(tree_.exists(std::string(kCrioFile)));
}

TEST_F(WorkerTest, TheCacheFolderIsMadeForTheAgentAndGoesAfterIt) {
  if (!root_user()) GTEST_SKIP() << "needs root to give a folder away";
  round();
  struct stat info {};
  ASSERT_EQ(::stat(tree_.at(kCache).c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kAgentUser);
  tree_.write(std::string(kCache) + "/blob", "x");
  view_.uninstalling = true;
  round();
  EXPECT_TRUE(tree_.exists(kCache)) << "the agent still answers";
  host_.fail_after = 0;
  round();
  EXPECT_FALSE(tree_.exists(kCache));
  EXPECT_TRUE(tree_.exists("/var/lib/cistern"));
}

TEST_F(WorkerTest, AFolderThatIsToBeKeptIs) {
  config_.keep_storage = true;
  round();
  host_.fail_after = 0;
  view_.uninstalling = true;
  round();
  EXPECT_EQ(tree_.exists(kCache), root_user());
}

TEST_F(WorkerTest, AtTheEndItRestoresOnlyIfItIsForGood) {
  config_.registries.push_back({"strict.example", true});
  round();
  const auto applied = tree_.snapshot();
  worker_->end(false);
  EXPECT_EQ(tree_.snapshot(), applied);
  worker_->end(std::nullopt);
  EXPECT_THAT(tree_.read(kStrictFile), Not(HasSubstr("server =")));
  EXPECT_TRUE(tree_.exists(kDockerFile));
  worker_->end(true);
  EXPECT_FALSE(tree_.exists(kDockerFile));
  EXPECT_FALSE(tree_.exists(kStrictFile));
}

TEST_F(WorkerTest, IsStrictAgainAfterItFellBack) {
  config_.registries.push_back({"strict.example", true});
  round();
  worker_->end(std::nullopt);
  start();
  EXPECT_EQ(round().state, "Applied");
  EXPECT_THAT(tree_.read(kStrictFile), HasSubstr("server ="));
}

}  // namespace
}  // namespace cistern::node
