// cistern-operator standalone as a process, with a fake agent: what it writes, how it follows changes, crashes and signals.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/fakes/places/places.hpp"

namespace cistern::standalone {
namespace {

namespace fs = std::filesystem;
using fakes::free_port;
using fakes::program;
using fakes::read_file;
using fakes::TemporaryFolder;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

// Waits at most five seconds.
template <class Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 250; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

int open_listener(std::uint16_t port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0 && ::listen(listener, 1) == 0) return listener;
  ::close(listener);
  return -1;
}

std::string policy(const std::string& spec) {
  return "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: default}\nspec:\n" + spec;
}

constexpr const char* kGo = "  go: {upstreams: [{url: \"https://goproxy.io\"}]}\n";
constexpr const char* kGoAndImages =
    "  go: {upstreams: [{url: \"https://goproxy.io\"}]}\n"
    "  images: {registries: [{name: quay.io, upstreams: [{url: \"https://quay.io\"}]}]}\n";

class Standalone : public testing::Test {
 protected:
  void start() { pid_ = launch("log"); }
  pid_t launch(const std::string& log) {
    const std::string operator_ = program("cistern-operator");
    const std::string agent = program("fake_agent");
    const std::string policies = (folder_.path() / "policies").string();
    const std::string listen = listen_;
    const std::string output = (folder_.path() / log).string();
    const std::string data = data_;
    const std::string region = region_;
    const std::string profile = profile_;
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execl(operator_.c_str(), operator_.c_str(), "standalone", "--policies", policies.c_str(), "--data", data.c_str(), "--listen",
            listen.c_str(), "--agent", agent.c_str(), "--region", region.c_str(), "--profile", profile.c_str(), nullptr);
    ::_exit(99);
  }
  static int wait_for(pid_t& pid) {
    int status = 0;
    const bool ended = eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; });
    if (!ended) return -1;
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }
  std::string log() const { return read_file(folder_.path() / "log"); }
  bool logs(const std::string& text) const {
    return eventually([&] { return log().find(text) != std::string::npos; });
  }
  std::size_t starts() const {
    const std::string lines = read_file(data("starts"));
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
  }
  pid_t agent() const {
    const std::string lines = read_file(data("starts"));
    return std::stoi(lines.substr(lines.rfind('\n', lines.size() - 2) + 1));
  }
  fs::path data(const std::string& name) const { return fs::path(data_) / name; }
  void write_policy(const std::string& spec) { folder_.write("policies/p.yaml", policy(spec)); }

  void TearDown() override {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    if (wait_for(pid_) == -1) ::kill(pid_, SIGKILL);
  }

  TemporaryFolder folder_;
  std::uint16_t port_ = free_port("127.0.0.1", 2);  // and the next, of the admin listener
  std::string listen_ = "127.0.0.1:" + std::to_string(port_);
  std::string data_ = (folder_.path() / "data").string();
  std::string region_;
  std::string profile_;
  pid_t pid_ = -1;
};

TEST_F(Standalone, writes_its_files_and_starts_the_agent_on_them) {
  write_policy(kGoAndImages);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  EXPECT_THAT(read_file(data("env.sh")), HasSubstr("export GOPROXY='http://" + listen_ + "/go/'\n"));
  EXPECT_THAT(read_file(data("certs.d/quay.io/hosts.toml")), HasSubstr("[host.\"http://" + listen_ + "\"]"));
  EXPECT_THAT(read_file(data("agent.yaml")), HasSubstr("admin: \"127.0.0.1:" + std::to_string(port_ + 1) + "\""));
  EXPECT_THAT(log(), HasSubstr("serving Go, quay.io"));
}

TEST_F(Standalone, a_changed_policy_is_in_force_within_two_seconds_without_a_restart) {
  write_policy(kGoAndImages);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  const auto changed = std::chrono::steady_clock::now();
  write_policy(kGo);
  ASSERT_TRUE(eventually([&] { return log().find("in force after", log().find("have changed")) != std::string::npos; })) << log();
  EXPECT_LT(std::chrono::steady_clock::now() - changed, seconds(2));
  EXPECT_EQ(starts(), 1U);
  EXPECT_FALSE(fs::exists(data("certs.d/quay.io"))) << "a registry that is gone takes its hosts.toml with it";
}

TEST_F(Standalone, a_new_file_in_the_folder_counts_as_a_change) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  folder_.write("policies/q.yaml",
                "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: other}\nspec: {priority: 1, retries: 1}\n");
  EXPECT_TRUE(logs("policy default is overridden by other")) << log();
}

TEST_F(Standalone, a_bad_change_is_reported_and_the_running_configuration_stays) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  const std::string before = read_file(data("agent.yaml"));
  write_policy("  retries: 99\n");
  ASSERT_TRUE(logs("p.yaml:5: spec.retries: 99 is out of bounds; write 0 to 10")) << log();
  EXPECT_TRUE(logs("the configuration in force stays"));
  EXPECT_EQ(read_file(data("agent.yaml")), before);
  EXPECT_EQ(starts(), 1U);
  write_policy(std::string(kGo) + "  retries: 1\n");
  EXPECT_TRUE(logs("have changed")) << log();
}

TEST_F(Standalone, a_credential_that_appears_mends_a_refused_policy) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  write_policy("  go: {upstreams: [{url: \"https://goproxy.io\", credentialsRef: {name: main}}]}\n");
  ASSERT_TRUE(logs("p.yaml:5: spec.go.upstreams[0].credentialsRef.name: " + data("credentials/main").string() + " does not exist; make it"))
      << log();
  fs::create_directories(data("credentials/main"));
  std::ofstream(data("credentials/main/token")) << "t";
  fs::permissions(data("credentials/main/token"), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(logs("have changed")) << log();
}

constexpr const char* kPlaces =
    "  go: {upstreams: [{url: \"https://goproxy.io\"}]}\n"
    "  regions: {cn: {go: {upstreams: [{url: \"https://goproxy.cn\"}]}, images: {registries: [{name: quay.io, upstreams: [{url: "
    "\"https://quay.cn.example\"}]}]}}}\n"
    "  profiles: {dev: {go: {sumDB: {exempt: [x.example]}}, storage: {size: 7Gi}}}\n";

TEST_F(Standalone, serves_what_the_region_and_the_profile_say) {
  write_policy(kPlaces);
  region_ = "cn";
  profile_ = "dev";
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  EXPECT_THAT(log(), HasSubstr("policy default (region cn, profile dev): serving Go, quay.io"));
  EXPECT_THAT(log(), Not(HasSubstr("not in force in standalone mode")));
  EXPECT_THAT(read_file(data("env.sh")), HasSubstr("export GOPROXY='http://" + listen_ + "/go/~dev/'\n"));
  EXPECT_THAT(read_file(data("env.sh")), HasSubstr("export GONOSUMDB='x.example'\n"));
  EXPECT_TRUE(fs::exists(data("certs.d/quay.io/hosts.toml")));
  const auto agent = read_file(data("agent.yaml"));
  EXPECT_THAT(agent, HasSubstr("https://goproxy.cn"));
  EXPECT_THAT(agent, Not(HasSubstr("https://goproxy.io")));
  EXPECT_THAT(agent, HasSubstr("size: 7Gi"));
}

TEST_F(Standalone, a_region_that_the_policy_does_not_have_is_refused_and_one_that_goes_away_changes_nothing) {
  write_policy(kGo);
  region_ = "cn";
  start();
  EXPECT_EQ(wait_for(pid_), 2);
  EXPECT_EQ(log(), "policy default has no region \"cn\"\n");
  write_policy(kPlaces);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  write_policy(kGo);
  ASSERT_TRUE(logs("the configuration in force stays")) << log();
  EXPECT_THAT(read_file(data("agent.yaml")), HasSubstr("https://goproxy.cn"));
}

TEST_F(Standalone, a_crashed_agent_is_started_again) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  ::kill(agent(), SIGKILL);
  ASSERT_TRUE(logs("ended by signal 9; starting it again in 200ms")) << log();
  EXPECT_TRUE(eventually([&] { return starts() == 2; }));
  EXPECT_TRUE(logs("started again"));
}

TEST_F(Standalone, an_agent_that_ends_at_once_is_tried_again_later_and_later) {
  fs::create_directories(data_);
  std::ofstream(data("crash")) << "";
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("ended with code 3; starting it again in 200ms")) << log();
  std::ofstream(data("crash")) << "";
  EXPECT_TRUE(logs("ended with code 3; starting it again in 400ms")) << log();
  EXPECT_TRUE(logs("in force after")) << log();
}

TEST_F(Standalone, a_signal_waits_for_the_agents_drain_and_ends_well) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  std::ofstream(data("drain")) << "500";
  ::kill(pid_, SIGINT);
  EXPECT_EQ(wait_for(pid_), 0);
  EXPECT_EQ(read_file(data("drained")), "yes");
}

TEST_F(Standalone, a_second_signal_does_not_wait) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  std::ofstream(data("drain")) << "60000";
  ::kill(pid_, SIGINT);
  ASSERT_TRUE(logs("ending (Interrupt)")) << log();
  ::kill(pid_, SIGINT);
  EXPECT_EQ(wait_for(pid_), 0);
  EXPECT_FALSE(fs::exists(data("drained")));
}

TEST_F(Standalone, the_agent_does_not_outlive_it) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  ::kill(pid_, SIGKILL);
  wait_for(pid_);
  EXPECT_TRUE(eventually([&] { return fs::exists(data("drained")); })) << "asked to end by the death of its parent";
}

TEST_F(Standalone, a_second_one_on_the_same_folder_is_refused) {
  write_policy(kGo);
  start();
  ASSERT_TRUE(logs("in force after")) << log();
  pid_t second = launch("second");
  EXPECT_EQ(wait_for(second), 1);
  EXPECT_EQ(read_file(folder_.path() / "second"), data_ + " is in use by another cistern-operator (process " + std::to_string(pid_) +
                                                      "); stop that one, or choose another folder with --data\n");
}

TEST_F(Standalone, a_port_in_use_is_named) {
  write_policy(kGo);
  const int listener = open_listener(port_);
  start();
  EXPECT_EQ(wait_for(pid_), 1);
  EXPECT_EQ(log(), listen_ + " is in use by another program; stop that one, or choose another with --listen\n");
  ::close(listener);
}

TEST_F(Standalone, a_folder_that_can_not_be_made_is_named) {
  write_policy(kGo);
  data_ = "/proc/cistern";
  start();
  EXPECT_EQ(wait_for(pid_), 1);
  EXPECT_THAT(log(), HasSubstr("choose another with --data: make the data folder /proc/cistern"));
}

TEST_F(Standalone, an_invalid_policy_at_the_start_is_a_usage_error) {
  write_policy("  retrys: 1\n");
  start();
  EXPECT_EQ(wait_for(pid_), 2);
  EXPECT_EQ(log(), (folder_.path() / "policies/p.yaml").string() + ":5: spec.retrys: unknown field; did you mean \"retries\"?\n");
}

TEST_F(Standalone, a_secret_that_others_may_read_is_refused) {
  fs::create_directories(data("credentials/main"));
  std::ofstream(data("credentials/main/token")) << "t";
  fs::permissions(data("credentials/main/token"), static_cast<fs::perms>(0644));
  write_policy("  go: {upstreams: [{url: \"https://goproxy.io\", credentialsRef: {name: main}}]}\n");
  start();
  EXPECT_EQ(wait_for(pid_), 2);
  const std::string file = data("credentials/main/token").string();
  EXPECT_EQ(log(), file + " may be read by others (mode 0644); run: chmod 600 " + file + "\n");
}

}  // namespace
}  // namespace cistern::standalone
