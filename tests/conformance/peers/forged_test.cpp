// What a request that claims to come from a peer is worth: rights for a genuine one, once; for any other, none.
#include <ctime>

#include "peers_fixture.hpp"

namespace cistern::conformance {
namespace {

// Agent 0 asks a scripted server that it takes for its peer. What it sends there is genuine, and is then tried on agent 1, which has the
// same key and holds a blob of a registry that needs credentials: on the pods listener only a peer may have that.
class PeersForged : public PeersTest {
 protected:
  void SetUp() override {
    make_group(2, ", credentials: creds");
    for (auto& member : members) {
      member->upstream.require_basic("/v2/", "user", "secret");
      member->agent->add_file("creds/username", "user");
      member->agent->add_file("creds/password", "secret");
    }
    members[0]->agent->setup().peers = peers_of(*members[0]->agent, {addresses[0], listener.authority()});
    members[1]->agent->setup().peers = peers_of(*members[1]->agent, {addresses[1]});
    start_all();
    ASSERT_NO_FATAL_FAILURE(capture());
    ASSERT_EQ(ask(*members[1], blob).status, 200u);
    ASSERT_EQ(ask(*members[1], other).status, 200u);
    ASSERT_EQ(get(members[1]->agent->pods(), target_of(blob) + "?ns=docker.io").status, 403u) << "a client has no right to it there";
  }
  // Asks agent 0 for one blob after the other until it asks its peer.
  void capture() {
    offer(other, blob_reply(other));
    for (unsigned i = 0; i < 40 && listener.count() == 0; ++i) {
      blob = Blob(noise(1000, 5000 + i));
      offer(blob, blob_reply(blob));
      ask(*members[0], blob);
    }
    ASSERT_GE(listener.count(), 1u) << "a peer was never asked";
    captured = listener.asked()[0];
    for (auto header = captured.headers.begin(); header != captured.headers.end();) {
      header = same_name(header->first, "Host") || same_name(header->first, "Connection") ? captured.headers.erase(header) : header + 1;
    }
  }
  Answer try_on(const std::string& target, const Fields& headers) const { return get(members[1]->agent->pods(), target, headers); }
  // Not by a status that a peer would take for the upstream's own word.
  static bool refused(const Answer& answer) {
    return answer.status / 100 == 4 && answer.status != 404 && answer.status != 410 && answer.status != 429;
  }
  Fields without_peer_header() const {
    Fields fields;
    for (const auto& one : captured.headers) {
      if (!same_name(one.first, "X-Cistern-Peer")) fields.push_back(one);
    }
    return fields;
  }
  Fields with_peer_header(const std::string& value) const {
    auto fields = without_peer_header();
    fields.emplace_back("X-Cistern-Peer", value);
    return fields;
  }

  ScriptedUpstream listener;
  Blob blob;
  const Blob other{noise(1000, 4999)};
  Asked captured;
};

TEST_F(PeersForged, AGenuineRequestIsAnsweredOnceAndItsReplayIsRefused) {
  const auto first = try_on(captured.target, captured.headers);
  EXPECT_EQ(first.status, 200u) << first.body;
  EXPECT_EQ(first.body, blob.bytes);
  const auto replay = try_on(captured.target, captured.headers);
  EXPECT_TRUE(refused(replay)) << replay.status;
  EXPECT_NE(replay.body, blob.bytes);
  const auto& agent = *members[1]->agent;
  EXPECT_EQ(agent.metric("cistern_peer_requests_total{peer_role=\"owner\",result=\"ok\"}"), 1);
  EXPECT_EQ(agent.metric("cistern_peer_requests_total{peer_role=\"owner\",result=\"refused\"}"), 1);
}

TEST_F(PeersForged, ASignatureIsGoodForItsTargetOnly) {
  auto target = captured.target;
  target.replace(target.find(blob.digest), blob.digest.size(), other.digest);
  const auto answer = try_on(target, captured.headers);
  EXPECT_TRUE(refused(answer)) << answer.status;
  EXPECT_NE(answer.body, other.bytes);
}

TEST_F(PeersForged, ASignatureIsGoodForItsMethodOnly) {
  EXPECT_TRUE(refused(head(members[1]->agent->pods(), captured.target, captured.headers)));
}

TEST_F(PeersForged, AChangedSignatureIsRefused) {
  const auto genuine = captured.header("X-Cistern-Peer");
  ASSERT_FALSE(genuine.empty());
  EXPECT_EQ(try_on(captured.target, without_peer_header()).status, 403u);
  auto changed = genuine;
  changed.back() = changed.back() == '0' ? '1' : '0';
  auto later = genuine;
  const auto time = later.find("time=") + 5;
  later.replace(time, later.find(';', time) - time, std::to_string(::time(nullptr) + 1));
  for (const auto& value :
       {changed, later, std::string(), std::string("v=1"), genuine.substr(0, 40), genuine + genuine, std::string(5000, 'x')}) {
    const auto answer = try_on(captured.target, with_peer_header(value));
    EXPECT_NE(answer.status, 200u) << value;
    EXPECT_NE(answer.body, blob.bytes) << value;
  }
}

TEST_F(PeersForged, AForgedRequestDoesNotSpoilTheGenuineOne) {
  auto changed = captured.header("X-Cistern-Peer");
  changed.back() = changed.back() == '0' ? '1' : '0';
  EXPECT_TRUE(refused(try_on(captured.target, with_peer_header(changed))));
  EXPECT_EQ(try_on(captured.target, captured.headers).status, 200u) << "its nonce was not used up by the forgery";
}

}  // namespace
}  // namespace cistern::conformance
