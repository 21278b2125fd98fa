#include "operator/kube/configuration.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "base/encoding.hpp"
#include "tests/fakes/loopback_server/certificate.hpp"
#include "tests/fakes/places/places.hpp"
#include "tests/unit/operator/kube/fixture.hpp"

namespace cistern::kube {
namespace {

using fakes::ApiServer;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ConfigurationTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"}) ::unsetenv(name);
  }
  std::filesystem::path write(const std::string& name, const std::string& text) const { return folder_.write(name, text); }
  // A kubeconfig of one context; each line of a block is indented as it must be.
  std::filesystem::path kubeconfig(const std::vector<std::string>& cluster, const std::vector<std::string>& user) const {
    std::string text =
        "apiVersion: v1\nkind: Config\npreferences: {}\ncurrent-context: main\ncontexts:\n"
        "- name: main\n  context: {cluster: c, user: u, namespace: team}\n"
        "- name: other\n  context: {cluster: missing, user: u}\nclusters:\n- name: c\n  cluster:\n";
    for (const auto& line : cluster) text += "    " + line + "\n";
    text += "users:\n- name: u\n  user:\n";
    for (const auto& line : user) text += "    " + line + "\n";
    if (user.empty()) text += "    {}\n";
    return write("config", text);
  }
  std::string refusal(const std::vector<std::string>& cluster, const std::vector<std::string>& user) const {
    const auto read = from_kubeconfig(kubeconfig(cluster, user));
    return read ? "accepted" : read.error().message;
  }

  fakes::TemporaryFolder folder_{fakes::Medium::kMemory};
};

TEST_F(ConfigurationTest, ReadsTheCurrentContext) {
  write("ca.crt", "CA");
  const auto read =
      from_kubeconfig(kubeconfig({"server: https://10.0.0.1:6443/", "certificate-authority: ca.crt", "tls-server-name: api"},
                                 {"token: abc", "client-certificate-data: " + to_base64("CERT"), "client-key-data: " + to_base64("KEY")}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->server, "https://10.0.0.1:6443");
  EXPECT_EQ(read->ca_pem, "CA");
  EXPECT_EQ(read->tls_server_name, "api");
  EXPECT_EQ(read->token, "abc");
  EXPECT_EQ(read->client_cert_pem, "CERT");
  EXPECT_EQ(read->client_key_pem, "KEY");
  EXPECT_EQ(read->ns, "team");
  EXPECT_FALSE(read->insecure_skip_verify);
}

TEST_F(ConfigurationTest, FilesAreRelativeToTheKubeconfig) {
  write("pki/me.crt", "CERT");
  write("pki/me.key", "KEY");
  const auto read = from_kubeconfig(
      kubeconfig({"server: https://10.0.0.1:6443"}, {"client-certificate: pki/me.crt", "client-key: pki/me.key", "tokenFile: pki/token"}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->client_cert_pem, "CERT");
  EXPECT_EQ(read->token_file, folder_.path() / "pki/token");
}

TEST_F(ConfigurationTest, RefusesByNameWhatItDoesNotSupport) {
  const std::vector<std::string> server{"server: https://10.0.0.1:6443"};
  EXPECT_THAT(refusal({"server: https://10.0.0.1:6443", "proxy-url: http://proxy"}, {}), HasSubstr("proxy-url is not supported"));
  EXPECT_THAT(refusal(server, {"exec: {command: aws}"}),
              AllOf(HasSubstr("config:17: exec is not supported"), HasSubstr("kubectl create token")));
  EXPECT_THAT(refusal(server, {"auth-provider: {name: gcp}"}), HasSubstr("auth-provider is not supported"));
  EXPECT_THAT(refusal(server, {"username: me"}), HasSubstr("username is not supported"));
  EXPECT_THAT(refusal(server, {"password: hunter2"}), AllOf(HasSubstr("password is not supported"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(refusal(server, {"as: admin"}), HasSubstr("as is not supported"));
  EXPECT_THAT(refusal(server, {"as-groups: [a]"}), HasSubstr("as-groups is not supported"));
}

TEST_F(ConfigurationTest, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(refusal({"server: 10.0.0.1"}, {}), HasSubstr("server: must be of the form https://HOST:PORT"));
  EXPECT_THAT(refusal({"server: https://a", "certificate-authority-data: '***'"}, {}), HasSubstr("config:14: certificate-authority-data"));
  EXPECT_THAT(refusal({"server: https://a", "certificate-authority: gone.crt"}, {}), HasSubstr("gone.crt: No such file"));
  EXPECT_THAT(refusal({"server: https://a"}, {"client-key-data: " + to_base64("KEY")}), HasSubstr("belong together"));
  EXPECT_THAT(refusal({"server: https://a"}, {"token: 12345"}), AllOf(HasSubstr("token: must be text"), Not(HasSubstr("12345"))));
  EXPECT_THAT(refusal({"server: https://a", "insecure-skip-tls-verify: true", "certificate-authority-data: " + to_base64("CA")}, {}),
              HasSubstr("contradict"));
  const auto file = kubeconfig({"server: https://a"}, {});
  EXPECT_THAT(from_kubeconfig(file, "nope").error().message, HasSubstr("there is no context named \"nope\""));
  EXPECT_THAT(from_kubeconfig(file, "other").error().message, HasSubstr("there is no cluster named \"missing\""));
  EXPECT_THAT(from_kubeconfig(folder_.path() / "none").error().message, HasSubstr("No such file"));
  EXPECT_THAT(from_kubeconfig(write("list", "[]")).error().message, HasSubstr("is no kubeconfig"));
}

TEST_F(ConfigurationTest, ReadsWhatEveryPodHas) {
  write("token", "abc\n");
  write("ca.crt", "CA");
  write("namespace", "cistern-system");
  EXPECT_EQ(in_cluster(folder_.path()).error().code, ErrorCode::kNotFound);
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const auto read = in_cluster(folder_.path());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->server, "https://[fd00::1]:443");
  EXPECT_EQ(read->ca_pem, "CA");
  EXPECT_EQ(read->ns, "cistern-system");
  EXPECT_EQ(read->token_file, folder_.path() / "token");
  std::filesystem::remove(folder_.path() / "token");
  EXPECT_THAT(in_cluster(folder_.path()).error().message, HasSubstr("automountServiceAccountToken"));
}

TEST_F(ConfigurationTest, IsFoundWhereKubectlFindsIt) {
  const auto named = kubeconfig({"server: https://named"}, {});
  ::setenv("HOME", folder_.path().c_str(), 1);
  EXPECT_THAT(find_configuration({}).error().message, HasSubstr(".kube/config"));
  write(".kube/config",
        "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://home'}}]\n");
  EXPECT_EQ(find_configuration({})->server, "https://home");
  ::setenv("KUBECONFIG", (named.string() + ":/another").c_str(), 1);
  EXPECT_EQ(find_configuration({})->server, "https://named");
  EXPECT_EQ(find_configuration(folder_.path() / ".kube/config")->server, "https://home");
}

TEST_F(ConfigurationTest, SeveralFilesAreOneAsToKubectl) {
  write("pki/ca.crt", "CA");
  const auto first = write("first", "contexts: [{name: a, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: mine}}]\n");
  const auto second = write("pki/second",
                            "current-context: a\ncontexts: [{name: a, context: {cluster: none}}]\n"
                            "clusters: [{name: c, cluster: {server: 'https://second', certificate-authority: ca.crt}}]\n"
                            "users: [{name: u, user: {token: other}}]\n");
  ::setenv("KUBECONFIG", fmt::format(":{}:/none:{}", first.string(), second.string()).c_str(), 1);
  const auto read = find_configuration({});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->server, "https://second");
  EXPECT_EQ(read->ca_pem, "CA") << "beside the file that names it";
  EXPECT_EQ(read->token, "mine") << "the first counts";
  ::setenv("KUBECONFIG", "/none:/nothing", 1);
  EXPECT_THAT(find_configuration({}).error().message, HasSubstr("/none: No such file"));
  write("bad", "[]");
  ::setenv("KUBECONFIG", fmt::format("{}:{}", first.string(), (folder_.path() / "bad").string()).c_str(), 1);
  EXPECT_THAT(find_configuration({}).error().message, HasSubstr("is no kubeconfig"));
}

// --- what the configuration means on the wire

Configuration with_token(const std::string& token) {
  Configuration configuration;
  configuration.token = token;
  return configuration;
}

TEST_F(ConfigurationTest, ShowsItsToken) {
  ApiServer server({.tokens = {"right"}});
  server.put(kNodes, node("a"));
  EXPECT_TRUE(client_of(server, with_token("right"))->get(kNodes, {"", "a"}));
  const auto refused = client_of(server, with_token("wrong-one"))->get(kNodes, {"", "a"});
  EXPECT_EQ(refused.error().code, ErrorCode::kForbidden);
  EXPECT_THAT(refused.error().message, Not(HasSubstr("wrong-one")));
}

TEST_F(ConfigurationTest, ReadsATokenFileAgainWhenItChanges) {
  ApiServer server({.tokens = {"one"}});
  server.put(kNodes, node("a"));
  Configuration configuration;
  configuration.token_file = write("token", "one\n");
  const auto client = client_of(server, configuration);
  EXPECT_TRUE(client->get(kNodes, {"", "a"}));
  server.set_tokens({"the second"});
  write("token", "the second\n");
  EXPECT_TRUE(client->get(kNodes, {"", "a"}));
  EXPECT_EQ(server.requests().size(), 2U) << "it did not have to be refused first";
}

TEST_F(ConfigurationTest, KeepsTheTokenWhenItsFileGoes) {
  ApiServer server({.tokens = {"one"}});
  server.put(kNodes, node("a"));
  Configuration configuration;
  configuration.token_file = write("token", "one");
  const auto client = client_of(server, configuration);
  EXPECT_TRUE(client->get(kNodes, {"", "a"}));
  std::filesystem::remove(configuration.token_file);
  EXPECT_TRUE(client->get(kNodes, {"", "a"}));
}

TEST_F(ConfigurationTest, TrustsOnlyTheCaThatItNames) {
  ApiServer server({.tls = true}), other({.tls = true});
  server.put(kNodes, node("a"));
  EXPECT_TRUE(client_of(server)->get(kNodes, {"", "a"}));
  server.forget_requests();
  Configuration configuration;
  configuration.ca_pem = other.ca_pem();
  const auto refused = client_of(server, configuration)->get(kNodes, {"", "a"});
  EXPECT_EQ(refused.error().code, ErrorCode::kForbidden);
  EXPECT_THAT(refused.error().message, HasSubstr("certificate is refused: self-signed certificate"));
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(ConfigurationTest, TrustsAnybodyWhenToldTo) {
  ApiServer server({.tls = true, .certificate_names = "DNS:elsewhere"});
  server.put(kNodes, node("a"));
  Configuration configuration;
  configuration.server = server.url();
  configuration.insecure_skip_verify = true;
  EXPECT_TRUE((*make_client(configuration, {}))->get(kNodes, {"", "a"}));
}

TEST_F(ConfigurationTest, LooksForTheServersNameInItsCertificate) {
  ApiServer server({.tls = true, .certificate_names = "DNS:kubernetes.default"});
  server.put(kNodes, node("a"));
  const auto refused = client_of(server)->get(kNodes, {"", "a"});
  EXPECT_THAT(refused.error().message, HasSubstr("set tls-server-name"));
  Configuration configuration;
  configuration.tls_server_name = "kubernetes.default";
  const auto found = client_of(server, configuration)->get(kNodes, {"", "a"});
  EXPECT_TRUE(found) << found.error().message;
}

TEST_F(ConfigurationTest, ShowsItsClientCertificate) {
  const auto mine = fakes::make_certificate("me");
  ApiServer server({.tls = true, .client_ca_pem = mine.cert_pem});
  server.put(kNodes, node("a"));
  Configuration configuration;
  configuration.client_cert_pem = mine.cert_pem;
  configuration.client_key_pem = mine.key_pem;
  const auto client = client_of(server, configuration);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client->get(kNodes, {"", "a"}));
  EXPECT_FALSE(client_of(server, {}, std::chrono::seconds(1))->get(kNodes, {"", "a"}));
}

TEST_F(ConfigurationTest, RefusesCertificatesThatCanNotBeUsed) {
  const auto mine = fakes::make_certificate("me"), other = fakes::make_certificate("other");
  Configuration configuration{.server = "https://127.0.0.1:1", .ca_pem = "no PEM"};
  EXPECT_THAT(make_client(configuration, {}).error().message, HasSubstr("CA holds no certificate"));
  configuration = {.server = "https://127.0.0.1:1", .client_cert_pem = mine.cert_pem, .client_key_pem = other.key_pem};
  EXPECT_THAT(make_client(configuration, {}).error().message, HasSubstr("does not belong to"));
  configuration.server = "127.0.0.1";
  EXPECT_THAT(make_client(configuration, {}).error().message, HasSubstr("https://HOST:PORT"));
}

TEST_F(ConfigurationTest, ReachesAServerByItsIpv6Address) {
  ApiServer server({.tls = true, .ipv6 = true});
  server.put(kNodes, node("a"));
  const auto found = client_of(server)->get(kNodes, {"", "a"});
  EXPECT_TRUE(found) << found.error().message;
}

TEST_F(ConfigurationTest, ReachesAServerBelowAPath) {
  ApiServer server;
  Configuration configuration{.server = server.url() + "/clusters/one"};
  ASSERT_FALSE((*make_client(configuration, {}))->get(kNodes, {"", "a"}));
  EXPECT_EQ(server.requests().at(0).path, "/clusters/one/api/v1/nodes/a");
}

}  // namespace
}  // namespace cistern::kube
