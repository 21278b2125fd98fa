// Start, stop, and what is in the way of either; TLS.
#include "http_fixture.hpp"

namespace cistern::conformance {
namespace {

class HttpLifecycle : public HttpTest {
 protected:
  // A self-signed certificate for 127.0.0.1, made by the openssl program.
  void add_certificate(const std::string& common_name) {
    const auto key = agent->folder() / "new.key", certificate = agent->folder() / "new.crt";
    const auto made = run({.arguments = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                                         "-days", "2", "-subj", "/CN=" + common_name, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                                         key.string(), "-out", certificate.string()}});
    ASSERT_EQ(made.code, 0) << made.output;
    agent->add_file("tls.key", read_file(key));
    agent->add_file("tls.crt", read_file(certificate));
  }
};

TEST_F(HttpLifecycle, HealthNamesTheConfigurationsHash) {
  start();
  const auto check = run({.arguments = {program("cache-agent"), "check", "--config", agent->configuration_file().string()}});
  EXPECT_EQ(check.code, 0) << check.output;
  const auto at = check.output.find("hash ");
  ASSERT_NE(at, std::string::npos) << check.output;
  EXPECT_NE(agent->health().find(check.output.substr(at + 5, 16)), std::string::npos) << agent->health();
}

TEST_F(HttpLifecycle, OnSigtermDownloadsFinishNewConnectionsAreRefusedAndTheExitIsClean) {
  const Blob blob(noise(4 << 20, 6));
  const auto gate = gated(blob, 1 << 20);
  start();
  Connection client(agent->node());
  client.ask("GET", target_of(blob) + "?ns=docker.io");
  auto answer = client.read_head();
  client.read_body(answer, 100000);
  agent->process().signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return !Connection(agent->node()).connected(); })) << "no new connections";
  gate->open();
  client.read_body(answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == blob.bytes);
  EXPECT_EQ(agent->process().wait(std::chrono::seconds(10)), 0);
}

TEST_F(HttpLifecycle, WhoHasNotHeardOfTheEndYetIsStillAnsweredForTheShutdownDelay) {
  setup.server = "shutdownDelay: 2s, drainTimeout: 500ms";
  start();
  const auto begun = std::chrono::steady_clock::now();
  agent->process().signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return get(agent->admin(), "/readyz").status == 503u; }));
  EXPECT_EQ(get(agent->node(), "/healthz").status, 200u) << "by a new connection";
  EXPECT_TRUE(eventually([&] { return !Connection(agent->node()).connected(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(1900));
  EXPECT_EQ(agent->process().wait(std::chrono::seconds(10)), 0);
}

TEST_F(HttpLifecycle, AClientThatNeverFinishesDoesNotKeepItFromStopping) {
  setup.server = "drainTimeout: 500ms";
  const Blob blob(noise(4 << 20, 7));
  gated(blob, 1 << 20);
  start();
  Connection client(agent->node());
  client.ask("GET", target_of(blob) + "?ns=docker.io");
  client.read_head();
  EXPECT_EQ(agent->stop(std::chrono::seconds(8)), 0);
}

TEST_F(HttpLifecycle, SigintStopsItToo) {
  start();
  agent->process().signal(SIGINT);
  EXPECT_EQ(agent->process().wait(std::chrono::seconds(10)), 0);
}

TEST_F(HttpLifecycle, APortInUseIsNamedAndTheExitIsNotZero) {
  configure();
  setup.go = agent->setup().go;
  Agent other(setup);
  ASSERT_TRUE(other.start()) << other.log();
  auto text = agent->configuration();
  const auto mine = agent->node().text(), theirs = other.node().text();
  for (auto at = text.find(mine); at != std::string::npos; at = text.find(mine)) text.replace(at, mine.size(), theirs);
  write_file(agent->configuration_file(), text);
  const auto ended =
      run({.arguments = {program("cache-agent"), "serve", "--config", agent->configuration_file().string()}}, std::chrono::seconds(10));
  EXPECT_NE(ended.code, 0);
  EXPECT_NE(ended.code, 124) << "it must end by itself";
  EXPECT_NE(ended.output.find(theirs), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("in use"), std::string::npos) << ended.output;
  EXPECT_TRUE(other.healthy());
}

TEST_F(HttpLifecycle, AFolderThatCanNotBeWrittenIsNamedAndTheExitIsNotZero) {
  configure();
  agent->add_file("file", "not a folder");
  agent->setup().storage_path = (agent->folder() / "file/store").string();
  EXPECT_FALSE(agent->start());
  EXPECT_NE(agent->process().wait(std::chrono::seconds(1)).value_or(0), 0);
  EXPECT_NE(agent->log().find("file/store"), std::string::npos) << agent->log();
}

TEST_F(HttpLifecycle, AFolderInUseByAnotherAgentIsNotTouched) {
  start();
  Agent second(agent->setup());
  second.setup().storage_path = agent->storage().string();
  EXPECT_FALSE(second.start());
  EXPECT_NE(second.process().wait(std::chrono::seconds(1)).value_or(0), 0);
  EXPECT_NE(second.log().find(agent->storage().string()), std::string::npos) << second.log();
  EXPECT_TRUE(agent->healthy());
}

TEST_F(HttpLifecycle, ABadConfigurationIsNamedByFileLineAndField) {
  configure();
  agent->setup().timeouts = "{connect: soon}";
  EXPECT_FALSE(agent->start());
  EXPECT_NE(agent->process().wait(std::chrono::seconds(1)).value_or(0), 0);
  EXPECT_NE(agent->log().find("agent.yaml:"), std::string::npos) << agent->log();
  EXPECT_NE(agent->log().find("timeouts.connect"), std::string::npos) << agent->log();
}

TEST_F(HttpLifecycle, ListenersSpeakTlsAndTakeANewCertificateIntoUse) {
  setup.listeners = "tlsCertFile: tls.crt, tlsKeyFile: tls.key";
  configure();
  ASSERT_NO_FATAL_FAILURE(add_certificate("first"));
  ASSERT_TRUE(agent->start()) << agent->log();
  const auto url = "https://" + agent->node().text() + "/healthz";
  write_file(agent->folder() / "first-ca.crt", read_file(agent->folder() / "tls.crt"));
  EXPECT_EQ(curl_get(url, (agent->folder() / "first-ca.crt").string()).status, 200u);
  EXPECT_NE(get(agent->node(), "/healthz").status, 200u) << "no plain text there";
  ASSERT_NO_FATAL_FAILURE(add_certificate("second"));
  EXPECT_TRUE(eventually([&] { return curl_get(url, (agent->folder() / "tls.crt").string()).status == 200; }, milliseconds(3000)));
  EXPECT_EQ(curl_get(url, (agent->folder() / "first-ca.crt").string()).status, 0u);
}

TEST_F(HttpLifecycle, TlsGoesOnWithTheOldCertificateWhereTheNewOneIsBroken) {
  setup.listeners = "tlsCertFile: tls.crt, tlsKeyFile: tls.key";
  configure();
  ASSERT_NO_FATAL_FAILURE(add_certificate("first"));
  ASSERT_TRUE(agent->start()) << agent->log();
  const auto url = "https://" + agent->node().text() + "/healthz";
  write_file(agent->folder() / "ca.crt", read_file(agent->folder() / "tls.crt"));
  agent->add_file("tls.key", "-----BEGIN NONSENSE-----\n");
  std::this_thread::sleep_for(milliseconds(1500));
  EXPECT_EQ(curl_get(url, (agent->folder() / "ca.crt").string()).status, 200u);
}

TEST_F(HttpLifecycle, ItStartsQuicklyAndStopsQuickly) {
  start();
  EXPECT_EQ(agent->stop(), 0);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(agent->start());
  EXPECT_EQ(agent->stop(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

}  // namespace
}  // namespace cistern::conformance
