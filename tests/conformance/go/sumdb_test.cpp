// The checksum database: what is checked against it, and what is served of it.
#include <atomic>

#include "go_fixture.hpp"

namespace cistern::conformance {
namespace {

class GoSumDb : public GoTest {
 protected:
  GoSumDb() {
    for (const auto* module : {&small, &large}) database.add(module->path, module->version, module->zip_h1, module->mod_h1);
    database.add_filler(300);  // more than one tile
    publish(upstream, small);
    publish(upstream, large);
    serve_database(upstream);
  }
  // The database through a GOPROXY's /sumdb/ path, as a client without another way sees it.
  void serve_database(ScriptedUpstream& at) {
    const auto prefix = "/sumdb/" + database.name();
    at.on_prefix(prefix + "/", [this, prefix](const Asked& asked) {
      const auto body = serving.load()->serve(asked.target.substr(prefix.size()));
      return body ? Reply{.body = *body} : Reply{.status = 404};
    });
  }
  std::string verifying(const std::string& more = "") const {
    return view("sumDB: {mode: Verify, name: " + database.name() + ", key: \"" + database.verifier_key() + "\"" + more + "}");
  }
  std::string sumdb(const std::string& path) const { return "/sumdb/" + database.name() + path; }
  std::size_t lookups() const {
    std::size_t count = 0;
    for (const auto& one : upstream.asked()) count += one.target.find("/lookup/") != std::string::npos ? 1 : 0;
    return count;
  }

  SumDb database;
  std::atomic<const SumDb*> serving = &database;
  const GoModule small = make_module("example.com/Small", "v1.0.0");
  const GoModule large = make_module("example.com/large", "v1.0.0", 1 << 20);
};

TEST_F(GoSumDb, AFileThatAgreesIsServed) {
  start(verifying());
  EXPECT_EQ(ask(small.target(".mod")).body, small.mod);
  EXPECT_EQ(ask(small.target(".zip")).body, small.zip);
  const auto answer = ask(large.target(".zip"));
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == large.zip);
  EXPECT_GE(lookups(), 2u) << "it has been looked up";
  EXPECT_EQ(cache_result(ask(large.target(".zip"))), "hit");
}

TEST_F(GoSumDb, Case12_ASmallZipThatDisagreesIsRefusedAndNotStored) {
  auto forged = make_module("example.com/Small", "v1.0.0", 1000);
  upstream.on(small.target(".zip"), Reply{.body = forged.zip});
  start(verifying());
  const auto answer = ask(small.target(".zip"));
  EXPECT_EQ(answer.status, 502u) << answer.body;
  upstream.on(small.target(".zip"), Reply{.body = small.zip});
  const auto next = ask(small.target(".zip"));
  EXPECT_EQ(next.status, 200u);
  EXPECT_EQ(cache_result(next), "miss");
  EXPECT_EQ(next.body, small.zip);
}

TEST_F(GoSumDb, Case12_ALargeZipThatDisagreesIsNeverComplete) {
  auto forged = large.zip;
  forged[forged.size() / 2] = static_cast<char>(forged[forged.size() / 2] ^ 1);
  upstream.on(large.target(".zip"), Reply{.body = forged});
  start(verifying());
  const auto answer = ask(large.target(".zip"));
  EXPECT_TRUE(failed(answer));
  if (answer.status == 200) {
    EXPECT_LE(answer.body.size() + 65536, large.zip.size()) << "the last 64 KiB are held back";
  }
  EXPECT_GE(agent->metric("cistern_store_bytes").value_or(0), 0);
  upstream.on(large.target(".zip"), Reply{.body = large.zip});
  EXPECT_TRUE(eventually([&] { return ask(large.target(".zip")).body == large.zip; }));
}

TEST_F(GoSumDb, Case12_AModThatDisagreesIsRefused) {
  upstream.on(small.target(".mod"), Reply{.body = small.mod + "// forged\n"});
  start(verifying());
  EXPECT_EQ(ask(small.target(".mod")).status, 502u);
}

TEST_F(GoSumDb, AZipThatIsNoneIsRefused) {
  upstream.on(small.target(".zip"), Reply{.body = "<html>log in</html>"});
  start(verifying());
  EXPECT_EQ(ask(small.target(".zip")).status, 502u);
}

TEST_F(GoSumDb, ADatabaseThatCanNotBeReachedStopsColdFilesAndNotCachedOnes) {
  start(verifying());
  EXPECT_EQ(ask(small.target(".zip")).status, 200u);
  upstream.on(sumdb("/lookup/example.com/large@v1.0.0"), Reply{.status = 500});
  const auto cold = ask(large.target(".zip"));
  EXPECT_TRUE(cold.status == 502 || cold.status == 504) << cold.status;
  EXPECT_EQ(cache_result(ask(small.target(".zip"))), "hit");
}

TEST_F(GoSumDb, AModuleUnknownToTheDatabaseIsForbiddenAndTheTextNamesTheExemption) {
  const auto unknown = make_module("example.com/unknown", "v1.0.0");
  publish(upstream, unknown);
  start(verifying());
  const auto answer = ask(unknown.target(".zip"));
  EXPECT_EQ(answer.status, 403u);
  EXPECT_NE(answer.body.find("sumDB.exempt"), std::string::npos) << answer.body;
}

TEST_F(GoSumDb, ExemptAndPrivateModulesAreNotLookedUp) {
  const auto exempt = make_module("corp.example/m", "v1.0.0");
  publish(upstream, exempt);
  start(verifying(", exempt: [corp.example]"));
  EXPECT_EQ(ask(exempt.target(".zip")).body, exempt.zip);
  EXPECT_EQ(lookups(), 0u);
  EXPECT_EQ(ask(sumdb("/lookup/corp.example/m@v1.0.0")).status, 404u);
  EXPECT_EQ(lookups(), 0u);
}

TEST_F(GoSumDb, WhatAViewWithoutChecksStoredIsNotServedToOneThatVerifies) {
  auto forged = make_module("example.com/Small", "v1.0.0", 1000);
  upstream.on(small.target(".zip"), Reply{.body = forged.zip});
  start(verifying() + ", " + view("name: lax, sumDB: {mode: Off}"));
  EXPECT_EQ(get(agent->node(), "/go/~lax" + small.target(".zip")).status, 200u);
  EXPECT_EQ(ask(small.target(".zip")).status, 502u);
}

TEST_F(GoSumDb, VerifiedFilesAreSharedByAllViews) {
  start(verifying() + ", " +
        view("name: dev, sumDB: {mode: Verify, name: " + database.name() + ", key: \"" + database.verifier_key() + "\"}"));
  EXPECT_EQ(ask(large.target(".zip")).status, 200u);
  const auto other = get(agent->node(), "/go/~dev" + large.target(".zip"));
  EXPECT_EQ(cache_result(other), "hit");
  EXPECT_EQ(upstream.count("GET", large.target(".zip")), 1u);
}

TEST_F(GoSumDb, SupportedIsAnsweredWithoutAskingAndAnUnknownNameIsNotFound) {
  start(verifying());
  EXPECT_EQ(ask(sumdb("/supported")).status, 200u);
  EXPECT_EQ(ask("/sumdb/other.test/supported").status, 404u);
  EXPECT_EQ(ask("/sumdb/other.test/lookup/example.com/large@v1.0.0").status, 404u);
  EXPECT_EQ(upstream.count("GET", sumdb("/supported")), 0u);
  EXPECT_EQ(upstream.count("GET", "/sumdb/other.test/lookup/example.com/large@v1.0.0"), 0u);
}

TEST_F(GoSumDb, WithModeOffThereIsNoDatabase) {
  start(view("sumDB: {mode: Off, name: " + database.name() + "}"));
  EXPECT_EQ(ask(sumdb("/supported")).status, 404u);
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(GoSumDb, Case13_LookupsAndTilesAreServedWhenTheUpstreamIsDown) {
  start(verifying());
  const auto target = sumdb("/lookup/example.com/!small@v1.0.0");
  const auto first = ask(target);
  EXPECT_EQ(first.status, 200u);
  EXPECT_NE(first.body.find(small.zip_h1), std::string::npos);
  EXPECT_NE(first.body.find("\u2014 " + database.name() + " "), std::string::npos) << "a signed head follows the record";
  const auto tile = ask(sumdb("/tile/8/0/000"));
  EXPECT_EQ(tile.status, 200u);
  EXPECT_EQ(tile.body, *database.serve("/tile/8/0/000"));
  upstream.go_down();
  EXPECT_EQ(ask(target).status, 200u);
  EXPECT_EQ(ask(sumdb("/tile/8/0/000")).body, tile.body);
}

TEST_F(GoSumDb, ProxyModePassesTheDatabaseThroughAndChecksNothing) {
  auto forged = make_module("example.com/Small", "v1.0.0", 1000);
  upstream.on(small.target(".zip"), Reply{.body = forged.zip});
  start(view("sumDB: {mode: Proxy, name: " + database.name() + "}"));
  EXPECT_EQ(ask(small.target(".zip")).body, forged.zip) << "the client checks";
  EXPECT_EQ(ask(sumdb("/supported")).status, 200u);
  EXPECT_NE(ask(sumdb("/lookup/example.com/!small@v1.0.0")).body.find(small.zip_h1), std::string::npos);
}

TEST_F(GoSumDb, ALargeZipStreamsOnceItHasBeenLookedUp) {
  const auto gate = std::make_shared<Gate>();
  upstream.on(large.target(".zip"), Reply{.body = large.zip, .gate = gate, .gate_after = 800000});
  start(verifying());
  Connection client(agent->node(), milliseconds(3000));
  client.ask("GET", "/go" + large.target(".zip"));
  auto answer = client.read_head();
  EXPECT_EQ(answer.status, 200u);
  client.read_body(answer, 300000);
  EXPECT_EQ(answer.body.size(), 300000u);
  gate->open();
  client.read_body(answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == large.zip);
}

TEST_F(GoSumDb, ADatabaseThatForksIsNotBelieved) {
  SumDb fork(database.name());  // the same key, another history
  fork.add(large.path, large.version, "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", large.mod_h1);
  fork.add_filler(400);
  start(verifying());
  EXPECT_EQ(ask(small.target(".zip")).status, 200u);
  serving = &fork;
  EXPECT_EQ(ask(large.target(".zip")).status, 502u);
}

}  // namespace
}  // namespace cistern::conformance
