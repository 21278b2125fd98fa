// How the API server is reached: from within a pod, or by a kubeconfig. Blocks on the disk.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "operator/kube/client.hpp"

namespace cistern::kube {

struct Configuration {
  std::string server;  // https://HOST:PORT, no trailing slash
  std::string ca_pem;  // empty: the system's certificates
  std::string tls_server_name;
  bool insecure_skip_verify = false;
  std::string client_cert_pem, client_key_pem;  // empty: none
  std::string token;                            // never printed
  std::filesystem::path token_file;             // read again as it changes (bound service account tokens expire)
  std::string ns;                               // of the context, or of the pod
};

// From the files and variables that every pod has (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT).
Result<Configuration> in_cluster(const std::filesystem::path& service_account = "/var/run/secrets/kubernetes.io/serviceaccount");
// The current context, or `context`. What is not supported here (exec and auth-provider plugins, a proxy-url, impersonation, basic
// authentication) is refused by name, with what to do instead.
Result<Configuration> from_kubeconfig(const std::filesystem::path& file, const std::string& context = {});
// `kubeconfig` if it is not empty, else $KUBECONFIG (its files taken together, as kubectl does), else in_cluster(), else ~/.kube/config.
Result<Configuration> find_configuration(const std::filesystem::path& kubeconfig);

struct ClientOptions {
  std::chrono::seconds timeout{30};  // of a request
  std::string user_agent;            // "cistern-operator/0.1.0"
  unsigned threads = 4;              // of cpprestsdk's pool, the first client of a process decides
};

// Over cpprestsdk, which does not appear outside this folder. Certificates and the CA may be replaced by a restart only; the token is
// re-read.
Result<std::unique_ptr<Client>> make_client(Configuration configuration, const ClientOptions& options);

}  // namespace cistern::kube
