// A configuration that changes while the agent serves.
#include <atomic>
#include <vector>

#include "http_fixture.hpp"

namespace cistern::conformance {
namespace {

class HttpReload : public HttpTest {
 protected:
  const Blob blob{noise(4 << 20, 5)};
};

TEST_F(HttpReload, ANewConfigurationIsInForceInTwoSecondsWithoutBreakingADownload) {
  const auto gate = gated(blob, 1 << 20);
  start();
  Connection client(agent->node());
  client.ask("GET", target_of(blob) + "?ns=docker.io");
  auto answer = client.read_head();
  client.read_body(answer, 100000);
  agent->setup().go = "{views: [{upstreams: [{url: \"" + upstream.url() + "\"}], deny: [example.com], sumDB: {mode: Off}}]}";
  EXPECT_TRUE(agent->reload(milliseconds(2000)));
  EXPECT_EQ(get(agent->node(), "/go/example.com/m/@v/list").status, 403u);
  gate->open();
  client.read_body(answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
  client.ask("GET", "/healthz");
  EXPECT_EQ(client.read_answer().status, 200u) << "the connection itself lives on";
}

TEST_F(HttpReload, ADownloadFinishesEvenIfItsRegistryIsTakenAway) {
  const auto gate = gated(blob, 1 << 20);
  start();
  Connection client(agent->node());
  client.ask("GET", target_of(blob) + "?ns=docker.io");
  auto answer = client.read_head();
  agent->setup().images = "";
  EXPECT_TRUE(agent->reload());
  gate->open();
  client.read_body(answer);
  EXPECT_TRUE(answer.body == blob.bytes);
  EXPECT_NE(get(agent->node(), target_of(blob) + "?ns=docker.io").status, 200u);
}

TEST_F(HttpReload, ABadFileLeavesTheConfigurationInForceAndSaysWhy) {
  start();
  const auto before = agent->health();
  for (const auto* text : {"nonsense: [", "listeners: {node: \"127.0.0.1:1\"}\nstorrage: {}\n", ""}) {
    const auto logged = agent->log().size();
    write_file(agent->configuration_file(), text);
    EXPECT_TRUE(eventually([&] { return agent->log().find("agent.yaml", logged) != std::string::npos; }, milliseconds(3000))) << text;
    EXPECT_EQ(agent->health(), before);
    EXPECT_EQ(get(agent->node(), "/go/example.com/m/@v/list").status, 404u);
  }
  agent->setup().retries = 1;
  EXPECT_TRUE(agent->reload()) << "and a good one is taken again";
}

TEST_F(HttpReload, AChangedCredentialFileIsTakenIntoUse) {
  setup.images = "{registries: [{name: docker.io, upstreams: [{url: \"" + upstream.url() + "\", credentials: creds}]}]}";
  agent = std::make_unique<Agent>(setup);
  agent->add_file("creds/username", "user");
  agent->add_file("creds/password", "old");
  upstream.require_basic("/v2/", "user", "new");
  upstream.on(target_of(blob), blob_reply(blob));
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(get(agent->node(), target_of(blob) + "?ns=docker.io").status, 403u);
  const auto before = agent->health();
  agent->add_file("creds/password", "new");
  EXPECT_TRUE(eventually([&] { return agent->health() != before; }, milliseconds(2000)));
  EXPECT_EQ(get(agent->node(), target_of(blob) + "?ns=docker.io").status, 200u);
}

TEST_F(HttpReload, WritingTheSameAgainChangesNothing) {
  start();
  const auto before = agent->health();
  write_file(agent->configuration_file(), agent->configuration());
  std::this_thread::sleep_for(milliseconds(1200));
  EXPECT_EQ(agent->health(), before);
}

TEST_F(HttpReload, ReloadsUnderLoadLoseNoRequest) {
  const Blob small(noise(1000, 6));
  upstream.on(target_of(small), blob_reply(small));
  start();
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0, right = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        const auto answer = get(agent->node(), target_of(small) + "?ns=docker.io");
        ++(answer.status == 200 && answer.body == small.bytes ? right : wrong);
      }
    });
  }
  for (unsigned i = 1; i <= 5; ++i) {
    agent->setup().retries = i;
    EXPECT_TRUE(agent->reload());
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(right, 20);
}

}  // namespace
}  // namespace cistern::conformance
