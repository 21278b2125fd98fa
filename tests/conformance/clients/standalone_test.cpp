// Standalone mode: what becomes of changed and bad policies, of a killed agent, of Ctrl-C.
#include "standalone_fixture.hpp"

namespace cistern::conformance {
namespace {

class Standalone : public StandaloneTest {
 protected:
  static std::string target_of(const Blob& wanted) { return blob_target("team/app", wanted.digest) + "?ns=docker.io"; }
  void offer(const Blob& wanted, Reply reply) { upstream.on(blob_target("team/app", wanted.digest), std::move(reply)); }
  const Blob blob{noise(4 << 20, 31)};
  const Blob small{noise(1000, 32)};
};

TEST_F(Standalone, AChangedPolicyIsInForceInTwoSecondsWithoutBreakingADownload) {
  write_policy(images_of(upstream.url()));
  auto reply = blob_reply(blob);
  reply.gate = std::make_shared<Gate>();
  reply.gate_after = 1 << 20;
  offer(blob, reply);
  start();
  Connection client(agent);
  client.ask("GET", target_of(blob));
  auto answer = client.read_head();
  EXPECT_EQ(answer.status, 200u);
  client.read_body(answer, 100000);
  EXPECT_EQ(get(agent, "/v2/team/app/manifests/v1?ns=quay.io").status, 403u);
  write_policy("images: {registries: [{name: docker.io, upstreams: [{url: \"" + upstream.url() +
               "\"}]}, {name: quay.io, upstreams: [{url: \"" + upstream.url() + "\"}]}]}");
  EXPECT_TRUE(eventually([&] { return get(agent, "/v2/team/app/manifests/v1?ns=quay.io").status == 404; }, milliseconds(2000)));
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(data() / "certs.d/quay.io/hosts.toml"); }, milliseconds(1000)));
  reply.gate->open();
  client.read_body(answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
}

TEST_F(Standalone, AKilledAgentIsRestartedAndNothingIsLost) {
  write_policy(images_of(upstream.url()));
  offer(blob, blob_reply(blob));
  offer(small, blob_reply(small));
  start();
  EXPECT_TRUE(get(agent, target_of(blob)).body == blob.bytes);
  EXPECT_TRUE(eventually([&] { return get(agent, target_of(blob)).header("X-Cistern-Cache") == "hit"; }));
  upstream.go_down();
  const auto first = agent_pid();
  ASSERT_GT(first, 0);
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return agent_pid() != first && healthy(); }, std::chrono::seconds(10))) << log();
  const auto answer = get(agent, target_of(blob));
  EXPECT_EQ(answer.header("X-Cistern-Cache"), "hit");
  EXPECT_TRUE(answer.body == blob.bytes);
}

TEST_F(Standalone, PurgeDropsWhatThePatternNamesFromTheRunningAgent) {
  write_policy(images_of(upstream.url()));
  offer(blob, blob_reply(blob));
  offer(small, blob_reply(small));
  start();
  const auto hit = [&](const Blob& wanted) { return get(agent, target_of(wanted)).header("X-Cistern-Cache") == "hit"; };
  EXPECT_TRUE(eventually([&] { return hit(blob) && hit(small); }));
  const auto purge = [&](const std::vector<std::string>& patterns) {
    Command command{.arguments = {program("cistern-operator"), "purge", "--listen", agent.text()}};
    command.arguments.insert(command.arguments.end(), patterns.begin(), patterns.end());
    return run(command, std::chrono::seconds(10));
  };
  const auto purged = purge({"*" + blob.digest + "*"});
  EXPECT_EQ(purged.code, 0) << purged.output;
  EXPECT_NE(purged.output.find("\"purged\":1"), std::string::npos) << purged.output;
  EXPECT_EQ(get(agent, target_of(blob)).header("X-Cistern-Cache"), "miss");
  EXPECT_TRUE(hit(small)) << "the other one stays";
  program_->kill();
  EXPECT_NE(purge({"*"}).code, 0) << "there is no agent any more";
}

TEST_F(Standalone, ABadPolicyIsNamedByFileLineAndFieldAndTheOldOneStays) {
  write_policy(images_of(upstream.url()));
  offer(small, blob_reply(small));
  start();
  write_file(folder / "policies/policy.yaml",
             "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: default}\nspec:\n  imagez: {}\n");
  EXPECT_TRUE(eventually([&] { return log().find("policy.yaml:5") != std::string::npos; })) << log();
  EXPECT_NE(log().find("imagez"), std::string::npos);
  EXPECT_EQ(get(agent, target_of(small)).status, 200u);
}

TEST_F(Standalone, ABadPolicyAtTheStartIsRefused) {
  write_policy("images: {registries: [{name: docker.io, upstreams: [{url: \"http://user:secret@127.0.0.1\"}]}]}");
  const auto ended = run({.arguments = {program("cistern-operator"), "standalone", "--policies", (folder / "policies").string(), "--data",
                                        data().string(), "--listen", agent.text()}},
                         std::chrono::seconds(10));
  EXPECT_EQ(ended.code, 2) << ended.output;
  EXPECT_NE(ended.output.find("policy.yaml"), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("registries"), std::string::npos) << ended.output;
  EXPECT_EQ(ended.output.find("secret"), std::string::npos) << "a secret reaches no message";
}

TEST_F(Standalone, CtrlCEndsBothCleanly) {
  for (const int number : {SIGINT, SIGTERM}) {
    write_policy(images_of(upstream.url()));
    start();
    const auto child = agent_pid();
    ASSERT_GT(child, 0);
    program_->signal(number);
    EXPECT_EQ(program_->wait(std::chrono::seconds(15)), 0) << log();
    EXPECT_NE(::kill(child, 0), 0) << "the agent is gone too";
  }
}

TEST_F(Standalone, TheAgentDoesNotOutliveAKilledOperator) {
  write_policy(images_of(upstream.url()));
  start();
  program_->kill();
  EXPECT_TRUE(eventually([&] { return !Connection(agent).connected(); })) << "and its port is free for the next one";
}

}  // namespace
}  // namespace cistern::conformance
