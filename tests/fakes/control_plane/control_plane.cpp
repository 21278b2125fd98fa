#include "tests/fakes/control_plane/control_plane.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "yaml/node.hpp"

namespace cistern::fakes {
namespace {

namespace fs = std::filesystem;
constexpr const char* kToken = "for-tests-only";
constexpr std::chrono::seconds kStart{60};
constexpr kube::Resource kDefinitions{"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

template <class Condition>
bool comes_true(std::chrono::milliseconds limit, const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

}  // namespace

fs::path ControlPlane::programs() {
  fs::path tools = variable("CISTERN_TOOLS");
  if (tools.empty()) {
    const auto cache = variable("XDG_CACHE_HOME");
    tools = (cache.empty() ? fs::path(variable("HOME")) / ".cache" : fs::path(cache)) / "cistern" / "tools";
  }
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(tools, error)) {
    const auto programs = entry.path() / "bin";
    if (entry.path().filename().string().starts_with("kubernetes-") && fs::exists(programs / "kube-apiserver", error) &&
        fs::exists(programs / "etcd", error)) {
      found.push_back(programs);
    }
  }
  return found.empty() ? fs::path() : *std::ranges::max_element(found);
}

ControlPlane::ControlPlane() : etcd_port_(free_port()), peer_port_(free_port()), port_(free_port()) {}

bool ControlPlane::start() {
  write_file(folder_ / "tokens", fmt::format("{},admin,admin,\"system:masters\"\n", kToken));
  if (run({{"openssl", "genrsa", "-out", (folder_ / "accounts.key").string(), "2048"}}).code != 0) return false;
  const auto client = fmt::format("http://127.0.0.1:{}", etcd_port_);
  const auto peer = fmt::format("http://127.0.0.1:{}", peer_port_);
  etcd_ = std::make_unique<Process>(
      Command{{(programs() / "etcd").string(), "--data-dir", (folder_ / "etcd").string(), "--listen-client-urls", client,
               "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
               "default=" + peer, "--unsafe-no-fsync", "--log-level", "error"}},
      folder_ / "etcd.log");
  return start_api_server();
}

bool ControlPlane::start_api_server() {
  api_server_ = std::make_unique<Process>(
      Command{{(programs() / "kube-apiserver").string(), fmt::format("--etcd-servers=http://127.0.0.1:{}", etcd_port_),
               fmt::format("--secure-port={}", port_), "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
               "--cert-dir=" + (folder_ / "certificates").string(), "--token-auth-file=" + (folder_ / "tokens").string(),
               "--authorization-mode=AlwaysAllow", "--service-account-issuer=https://kubernetes.default.svc",
               "--service-account-key-file=" + (folder_ / "accounts.key").string(),
               "--service-account-signing-key-file=" + (folder_ / "accounts.key").string(), "--service-cluster-ip-range=10.96.0.0/16",
               "--disable-admission-plugins=ServiceAccount", "--shutdown-delay-duration=0s"}},
      folder_ / "api-server.log");
  kube::ClientOptions options;
  options.timeout = std::chrono::seconds(2);
  auto client = kube::make_client(configuration(), options);
  if (!client) return false;
  return comes_true(kStart,
                    [&] {
                      return !api_server_->running() || (*client)->get(kube::kNamespaces, {"", "default"}).has_value();
                    }) &&
         api_server_->running();
}

bool ControlPlane::restart_api_server() {
  api_server_->kill();
  return start_api_server();
}

kube::Configuration ControlPlane::configuration() const {
  kube::Configuration configuration;
  configuration.server = fmt::format("https://127.0.0.1:{}", port_);
  configuration.insecure_skip_verify = true;
  configuration.token = kToken;
  return configuration;
}

std::string ControlPlane::log() const { return read_file(folder_ / "etcd.log") + read_file(folder_ / "api-server.log"); }

bool install_crd(kube::Client& client) {
  const auto documents = yaml::parse(read_file(source_folder() / "crds/mirrorpolicies.cistern.dev.yaml"), "crd");
  if (!documents || documents->size() != 1) return false;
  if (!client.create(kDefinitions, kube::Json(yaml::to_json(documents->front())))) return false;
  return comes_true(kStart, [&] { return client.list(kube::kMirrorPolicies, {}).has_value(); });
}

}  // namespace cistern::fakes
