// The commands as programs, against the fake API server; and the gatherer against a real one.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "operator/inspect/command.hpp"
#include "operator/kube/configuration.hpp"
#include "tests/fakes/api_server/api_server.hpp"
#include "tests/fakes/control_plane/control_plane.hpp"

namespace cistern::inspect {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int code = -1;
  std::string out;  // and errors
};

Ran run(const std::string& arguments) {
  Ran ran;
  auto* pipe = ::popen((fakes::program("cistern-operator") + " " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> bytes{};
  while (const auto size = std::fread(bytes.data(), 1, bytes.size(), pipe)) ran.out.append(bytes.data(), size);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) ran.code = WEXITSTATUS(status);
  return ran;
}

class InspectCommands : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("config",
                  "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"" + server_.url() +
                      "\"}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: shop}}]\n");
    server_.put(kube::kNodes,
                Json{{"metadata", {{"name", "n1"}}}, {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
    server_.put(kube::kNamespaces, Json{{"metadata", {{"name", "shop"}}}});
    server_.put(kube::kMirrorPolicies,
                Json{{"metadata", {{"name", "default"}}}, {"spec", {{"go", {{"upstreams", {{{"url", "https://goproxy.example"}}}}}}}}});
    server_.put(kube::kPods, Json{{"metadata", {{"name", "build"}, {"namespace", "shop"}}},
                                  {"spec", {{"containers", {{{"name", "a"}, {"image", "nginx"}}}}}}});
    server_.put(kube::kSecrets, Json{{"metadata", {{"name", "corp"}, {"namespace", "cistern-system"}}}, {"data", {{"token", "c2VjcmV0"}}}});
  }
  std::string with_config(const std::string& arguments) const { return arguments + " --kubeconfig " + (folder_ / "config").string(); }

  fakes::TemporaryFolder folder_;
  fakes::ApiServer server_;
};

TEST_F(InspectCommands, DoctorSaysWhatIsWrongAndFails) {
  const auto ran = run(with_config("doctor"));
  EXPECT_EQ(ran.code, 1) << ran.out;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("there is no Deployment cistern-operator"), HasSubstr("problems"), Not(HasSubstr("c2VjcmV0"))));
}

TEST_F(InspectCommands, NothingIsEverWritten) {
  for (const char* command :
       {"doctor", "doctor -o json", "explain node n1", "explain ns shop", "explain pod build", "explain pod shop/build --all"}) {
    const auto ran = run(with_config(command));
    EXPECT_LE(ran.code, 1) << ran.out;
  }
  EXPECT_GT(server_.requests().size(), 50u);
  for (const auto& request : server_.requests()) {
    EXPECT_EQ(request.method, "GET") << request.path;
    EXPECT_FALSE(request.is_watch()) << request.path;
  }
}

TEST_F(InspectCommands, ExplainPrintsAnObjectOfTheCluster) {
  const auto node = run(with_config("explain node n1"));
  EXPECT_EQ(node.code, 0);
  EXPECT_THAT(node.out, AllOf(HasSubstr("node n1\n"), HasSubstr("policy   default"), HasSubstr("The cache is not used for images")));
  const auto ns = run(with_config("explain namespace shop injection.mode"));
  EXPECT_EQ(ns.code, 0);
  EXPECT_THAT(ns.out, AllOf(HasSubstr("spec.injection.mode = \"OptOut\"  # default"), Not(HasSubstr("spec.go"))));
  for (const char* words : {"explain pod build", "explain pod shop/build", "explain pod build -n shop"}) {
    const auto pod = run(with_config(words));
    EXPECT_EQ(pod.code, 0) << pod.out;
    EXPECT_THAT(pod.out, HasSubstr("pod shop/build\n"));
  }
  const auto json = run(with_config("explain node n1 -o json"));
  EXPECT_EQ(Json::parse(json.out)["name"], "n1");
}

TEST_F(InspectCommands, WrongWordsAreExplained) {
  EXPECT_THAT(run("explain").out, HasSubstr("node NAME, namespace NAME or pod NAME"));
  EXPECT_EQ(run("explain").code, 2);
  EXPECT_THAT(run("explain node").out, HasSubstr("explain node needs a name"));
  EXPECT_THAT(run(with_config("explain node nobody")).out, HasSubstr("there is no node nobody"));
  EXPECT_EQ(run(with_config("explain node nobody")).code, 1);
  EXPECT_THAT(run("explain node n1 --policies .").out, HasSubstr("leave it out"));
  EXPECT_EQ(run("doctor -o xml").code, 2);
}

TEST_F(InspectCommands, FilesAreExplainedAsBefore) {
  const auto policy =
      folder_.write("p.yaml", "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: default}\nspec: {retries: 2}\n");
  const auto text = run("explain retries --policies " + policy.string());
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr("policy default\nspec.retries = 2  # "));
  const auto json = run("explain retries -o json --policies " + policy.string() + " 2>/dev/null");
  EXPECT_THAT(json.out, AllOf(HasSubstr(R"("path": "spec.retries")"), HasSubstr(R"("value": 2)")));
}

TEST_F(InspectCommands, WhoMayNotReadSecretsAndOtherNamespacesGetsTheRest) {
  server_.add_fault({.method = "LIST", .path = "/secrets", .times = 0, .status = 403, .message = "no"});
  server_.add_fault({.method = "LIST", .path = "/leases", .times = 0, .status = 403, .message = "leases are forbidden"});
  const auto doctor = run(with_config("doctor"));
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("could not be read: secrets"), HasSubstr("leases are forbidden"), HasSubstr("policy/default")));
  EXPECT_THAT(run(with_config("explain node n1")).out,
              AllOf(HasSubstr("Could not be read"), HasSubstr("leases are forbidden"), HasSubstr("policy   default")));
}

TEST_F(InspectCommands, NobodyThereIsAnErrorNotADiagnosis) {
  server_.go_down();
  const auto ran = run(with_config("doctor"));
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, Not(HasSubstr("ok ")));
}

TEST(InspectSnapshot, OfSecretsOnlyNamesOfKeysAndCertificatesAreKept) {
  fakes::ApiServer server;
  const auto secret = [](const char* name, const Json& data) {
    return Json{{"metadata",
                 {{"name", name},
                  {"namespace", "cistern-system"},
                  {"annotations", {{"kubectl.kubernetes.io/last-applied-configuration", "cGFzcw=="}}}}},
                {"data", data}};
  };
  server.put(kube::kSecrets, secret("corp", {{"password", "cGFzcw=="}, {"tls.crt", "cGFzcw=="}}));
  server.put(kube::kSecrets, secret("cistern-webhook", {{"tls.key", "cGFzcw=="}, {"ca.key", "cGFzcw=="}, {"tls.crt", "Y2VydA=="}}));
  server.put(kube::kNodes, Json{{"metadata", {{"name", "n1"}}}});
  kube::Configuration configuration;
  configuration.server = server.url();
  const auto client = std::move(*kube::make_client(configuration, {}));
  const auto snapshot = take_snapshot(*client, SystemClock(), "cistern-system", Scope::kDoctor);
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  const auto kept = Json(snapshot->secrets.items).dump();
  EXPECT_THAT(kept, AllOf(Not(HasSubstr("cGFzcw==")), HasSubstr("Y2VydA=="), HasSubstr("password")));
}

// What the real one names and requires is what is asked.
TEST(InspectRealApiServer, IsReadWithoutAnError) {
  if (fakes::ControlPlane::programs().empty()) GTEST_SKIP() << "no kube-apiserver here; `./cistern test` builds it";
  fakes::ControlPlane plane;
  ASSERT_TRUE(plane.start()) << plane.log();
  const auto client = std::move(*kube::make_client(plane.configuration(), {}));
  const auto without = diagnose(*client, SystemClock(), "cistern-system");
  ASSERT_TRUE(without) << without.error().message;
  EXPECT_THAT(to_text(*without), HasSubstr("mirrorpolicies.cistern.dev is not installed"));
  ASSERT_TRUE(fakes::install_crd(*client));
  ASSERT_TRUE(client->create(kube::kMirrorPolicies, Json{{"apiVersion", "cistern.dev/v1alpha1"},
                                                         {"kind", "MirrorPolicy"},
                                                         {"metadata", {{"name", "default"}}},
                                                         {"spec", {{"go", {{"upstreams", {{{"url", "https://goproxy.example"}}}}}}}}}));
  ASSERT_TRUE(client->create(kube::kNodes, Json{{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n1"}}}}));
  const auto with = diagnose(*client, SystemClock(), "cistern-system");
  ASSERT_TRUE(with) << with.error().message;
  const auto text = to_text(*with);
  EXPECT_THAT(text, AllOf(HasSubstr("ok       crd"), Not(HasSubstr("could not be read")), HasSubstr("the operator has not looked at it")));
  const auto explained =
      explain_object(*client, SystemClock(), "cistern-system", "node", "", "n1", {{"storage.size", "go.upstreams"}, false});
  ASSERT_TRUE(explained) << explained.error().message;
  EXPECT_THAT(to_text(*explained), AllOf(HasSubstr("spec.storage.size = \"20Gi\"  # default"),
                                         HasSubstr("spec.go.upstreams[0].fallback = \"NotFound\"  # default"),
                                         HasSubstr("spec.go.upstreams[0].url = \"https://goproxy.example\"  # policy default")));
}

}  // namespace
}  // namespace cistern::inspect
