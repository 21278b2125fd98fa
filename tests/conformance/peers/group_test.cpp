// One fetch for all, and every client served whatever becomes of the owner.
#include "peers_fixture.hpp"

namespace cistern::conformance {
namespace {

class PeersGroup : public PeersTest {
 protected:
  const Blob blob{noise(4 << 20, 21)};
};

TEST_F(PeersGroup, FiveAgentsAskedByAHundredClientsFetchAColdBlobOnce) {
  make_group(5);
  offer(blob, blob_reply(blob));
  start_all();
  EXPECT_EQ(ask_all(blob, 100), 100);
  EXPECT_EQ(asked_upstream(blob), 1u);
  for (const auto& member : members) EXPECT_EQ(ask(*member, blob).header("X-Cistern-Cache"), "hit");
}

TEST_F(PeersGroup, ObjectsAreSpreadOverTheGroup) {
  make_group(3);
  start_all();
  std::size_t owners = 0;
  for (unsigned i = 0; i < 24; ++i) {
    const Blob one(noise(1000, 1000 + i));
    offer(one, blob_reply(one));
    EXPECT_EQ(ask(*members[0], one).status, 200u);
    EXPECT_EQ(asked_upstream(one), 1u);
  }
  for (const auto& member : members) owners += member->upstream.count() > 0 ? 1 : 0;
  EXPECT_EQ(owners, 3u);
}

TEST_F(PeersGroup, TheOwnersAgeCounts) {
  make_group(2);
  const auto image = make_image({10});
  for (auto& member : members) {
    publish(member->upstream, "team/app", "v1", image);
    member->agent->setup().images =
        "{registries: [{name: docker.io, tagTTL: 1m, upstreams: [{name: origin, url: \"" + member->upstream.url() + "\"}]}]}";
  }
  start_all();
  const auto target = manifest_target("team/app", "v1") + "?ns=docker.io";
  EXPECT_EQ(get(members[0]->agent->node(), target).status, 200u);
  std::this_thread::sleep_for(milliseconds(2100));
  // Whoever owns it has had it for two seconds, so neither may call it new now.
  for (const auto& member : members) {
    const auto answer = get(member->agent->node(), target);
    EXPECT_EQ(answer.status, 200u);
    EXPECT_GE(answer.header("Age").empty() ? 0 : std::stoi(answer.header("Age")), 2) << answer.header("X-Cistern-Cache");
  }
}

TEST_F(PeersGroup, AnOwnerKilledInMidTransferIsPassedOver) {
  make_group(5);
  auto reply = blob_reply(blob);
  reply.gate = std::make_shared<Gate>();
  reply.gate_after = 1 << 20;
  offer(blob, reply);
  start_all();
  int right = 0;
  std::thread clients([&] { right = ask_all(blob, 20); });
  EXPECT_TRUE(eventually([&] { return owner_of(blob) != nullptr; }));
  std::this_thread::sleep_for(milliseconds(300));
  auto* owner = owner_of(blob);
  ASSERT_NE(owner, nullptr);
  offer(blob, blob_reply(blob));  // for those who ask from now on
  owner->agent->kill();
  clients.join();
  EXPECT_EQ(right, 16) << "all but those four that asked the dead one itself";
  EXPECT_LE(asked_upstream(blob), 5u);
  EXPECT_EQ(ask_all(blob, 20, owner), 16);
}

TEST_F(PeersGroup, AnOwnerThatStallsIsPassedOver) {
  make_group(5);
  const Blob first(noise(100000, 22));
  offer(first, blob_reply(first));
  offer(blob, blob_reply(blob));
  start_all();
  // All are stopped but the one that is asked, so whoever the owner is, it does not answer.
  for (std::size_t i = 1; i < members.size(); ++i) members[i]->agent->process().signal(SIGSTOP);
  for (const auto* one : {&first, &blob}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto answer = ask(*members[0], *one);
    EXPECT_TRUE(answer.status == 200 && answer.complete && answer.body == one->bytes);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  }
  for (std::size_t i = 1; i < members.size(); ++i) members[i]->agent->process().signal(SIGCONT);
  EXPECT_EQ(ask_all(blob, 10), 10) << "and they are back";
}

TEST_F(PeersGroup, AnOwnerThatStallsInMidTransferIsLeft) {
  make_group(3);
  auto reply = blob_reply(blob);
  reply.gate = std::make_shared<Gate>();
  reply.gate_after = 2 << 20;
  offer(blob, reply);
  start_all();
  int right = 0;
  std::thread clients([&] { right = ask_all(blob, 3); });
  EXPECT_TRUE(eventually([&] { return owner_of(blob) != nullptr; }));
  std::this_thread::sleep_for(milliseconds(300));
  auto* owner = owner_of(blob);
  ASSERT_NE(owner, nullptr);
  offer(blob, blob_reply(blob));
  owner->agent->process().signal(SIGSTOP);
  std::this_thread::sleep_for(milliseconds(6000));
  owner->agent->process().signal(SIGCONT);
  reply.gate->open();
  clients.join();
  EXPECT_EQ(right, 3);
}

TEST_F(PeersGroup, AnOwnerThatIsDownFromTheStartCostsNobodyAnything) {
  make_group(5);
  offer(blob, blob_reply(blob));
  for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(members[i]->agent->start());
  for (std::size_t i = 0; i < 3; ++i) {
    const auto answer = ask(*members[i], blob);
    EXPECT_TRUE(answer.body == blob.bytes);
  }
}

TEST_F(PeersGroup, APeerWithTheWrongKeyStillServesItsClients) {
  make_group(3);
  members[2]->agent->add_file("key", "another key, of nobody in the group");
  start_all();
  for (unsigned i = 0; i < 12; ++i) {
    const Blob one(noise(100000, 2000 + i));
    offer(one, blob_reply(one));
    EXPECT_EQ(ask_all(one, 3), 3) << i;
  }
}

TEST_F(PeersGroup, AgentsThatDisagreeOnTheListServeTheRightBytes) {
  make_group(4);
  // Each believes in another group; two of them only in each other's absence.
  members[0]->agent->setup().peers = peers_of(*members[0]->agent, {addresses[0], addresses[1]});
  members[1]->agent->setup().peers = peers_of(*members[1]->agent, {addresses[1], addresses[2]});
  members[2]->agent->setup().peers = peers_of(*members[2]->agent, {addresses[2], addresses[0], addresses[3]});
  members[3]->agent->setup().peers = peers_of(*members[3]->agent, {addresses[3], addresses[0], addresses[1], addresses[2]});
  start_all();
  for (unsigned i = 0; i < 12; ++i) {
    const Blob one(noise(100000, 3000 + i));
    offer(one, blob_reply(one));
    EXPECT_EQ(ask_all(one, 8), 8) << i;
  }
}

TEST_F(PeersGroup, APeerThatIsNoAgentIsPassedOver) {
  make_group(2);
  ScriptedUpstream stranger;
  stranger.on_prefix("/", [](const Asked&) { return Reply{.body = "<html>not an agent</html>"}; });
  members[0]->agent->setup().peers = peers_of(*members[0]->agent, {addresses[0], stranger.authority()});
  start_all();
  for (unsigned i = 0; i < 8; ++i) {
    const Blob one(noise(100000, 4000 + i));
    offer(one, blob_reply(one));
    // Wrong bytes from a peer may fail the one download in which they are noticed, but are never passed off as right.
    const auto answer = ask(*members[0], one);
    EXPECT_TRUE(answer.status != 200 || !answer.complete || answer.body == one.bytes);
    EXPECT_TRUE(eventually([&] { return ask(*members[0], one).body == one.bytes; })) << i;
  }
}

TEST_F(PeersGroup, WhenTheUpstreamIsDownAPeersCopyServes) {
  make_group(3);
  offer(blob, blob_reply(blob));
  start_all();
  EXPECT_EQ(ask(*members[0], blob).status, 200u);
  for (auto& member : members) member->upstream.go_down();
  auto* owner = owner_of(blob);
  ASSERT_NE(owner, nullptr);
  EXPECT_EQ(ask_all(blob, 3), 3);
}

}  // namespace
}  // namespace cistern::conformance
