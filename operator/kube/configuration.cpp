#include "operator/kube/configuration.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/encoding.hpp"
#include "yaml/node.hpp"

namespace cistern::kube {

namespace {

using yaml::Node;

Result<std::string> content_of(const std::filesystem::path& file) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) return fail(system_error(errno != 0 ? errno : EIO, "read " + file.string()));
  return text;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// One kubeconfig, or several that are one to kubectl: of two entries of a name, and of two current contexts, the first counts. Every
// message names the file, the line and the field.
class Kubeconfig {
 public:
  Result<void> add(const std::filesystem::path& file);
  Result<Configuration> read(std::string context_name);

 private:
  Failure wrong(const Node& at, std::string_view message) const {
    return fail(ErrorCode::kInvalid, "{}: {}", at.position.to_string(), message);
  }
  struct File {
    std::filesystem::path path;
    Node root;
  };
  // A part of a file: of one, so that other files that it names are found beside it.
  struct Part {
    const File* file;
    const Node* node;
  };
  // The member `of` of the entry of `list` that has this name.
  Result<Part> entry(std::string_view list, std::string_view of, const std::string& name) const;
  Result<std::string> text(const Node& map, std::string_view field) const;
  // FIELD-data in base64, or else the content of the file that FIELD names, relative to the kubeconfig.
  Result<std::string> inline_or_file(const Part& part, const std::string& field) const;
  Result<void> refuse(const Node& map, std::string_view field, std::string_view advice) const;
  Result<void> read_cluster(const Part& cluster, Configuration& into) const;
  Result<void> read_user(const Part& user, Configuration& into) const;
  std::string names() const;

  std::deque<File> files_;
};

Result<void> Kubeconfig::add(const std::filesystem::path& file) {
  auto content = content_of(file);
  if (!content) return fail(content.error().in("the kubeconfig"));
  auto documents = yaml::parse(*content, file.string());
  if (!documents) return fail(documents.error());
  if (documents->size() != 1 || documents->front().kind != Node::Kind::kMap) {
    return fail(ErrorCode::kInvalid, "{}: is no kubeconfig", file.string());
  }
  files_.push_back({file, std::move(documents->front())});
  return {};
}

std::string Kubeconfig::names() const {
  std::string text;
  for (const auto& file : files_) text += (text.empty() ? "" : ":") + file.path.string();
  return text;
}

Result<Kubeconfig::Part> Kubeconfig::entry(std::string_view list, std::string_view of, const std::string& name) const {
  static const std::vector<Node> kNone;
  for (const auto& file : files_) {
    const Node* entries = file.root.find(list);
    for (const auto& one : entries != nullptr ? entries->children : kNone) {
      const Node* own = one.find("name");
      if (own == nullptr || !own->scalar.is_string() || own->scalar.get<std::string>() != name) continue;
      if (const Node* found = one.find(of)) return Part{&file, found};
      return wrong(one, fmt::format("\"{}\" has no {}", name, of));
    }
  }
  return fail(ErrorCode::kInvalid, "{}: {}: there is no {} named \"{}\"", names(), list, of, name);
}

Result<std::string> Kubeconfig::text(const Node& map, std::string_view field) const {
  const Node* node = map.find(field);
  if (node == nullptr || node->is_null()) return std::string();
  if (!node->scalar.is_string()) return wrong(*node, fmt::format("{}: must be text, in quotes if need be", field));
  return node->scalar.get<std::string>();
}

Result<std::string> Kubeconfig::inline_or_file(const Part& part, const std::string& field) const {
  const Node& map = *part.node;
  auto data = text(map, field + "-data");
  if (!data) return data;
  if (!data->empty()) {
    auto decoded = from_base64(*data);
    if (!decoded) return wrong(*map.find(field + "-data"), fmt::format("{}-data: is no base64", field));
    return decoded;
  }
  auto path = text(map, field);
  if (!path || path->empty()) return path;
  auto content = content_of(part.file->path.parent_path() / *path);
  if (!content) return wrong(*map.find(field), fmt::format("{}: {}", field, content.error().message));
  return content;
}

Result<void> Kubeconfig::refuse(const Node& map, std::string_view field, std::string_view advice) const {
  const Node* node = map.find(field);
  if (node == nullptr || node->is_null()) return {};
  return wrong(*node, fmt::format("{} is not supported; {}", field, advice));
}

Result<void> Kubeconfig::read_cluster(const Part& part, Configuration& into) const {
  const Node& cluster = *part.node;
  if (auto refused = refuse(cluster, "proxy-url", "use a context that reaches the API server directly"); !refused) return refused;
  auto server = text(cluster, "server");
  if (!server) return fail(server.error());
  while (server->ends_with('/')) server->pop_back();
  if (!server->starts_with("https://") && !server->starts_with("http://")) {
    return wrong(cluster, "server: must be of the form https://HOST:PORT");
  }
  into.server = std::move(*server);
  auto ca = inline_or_file(part, "certificate-authority");
  if (!ca) return fail(ca.error());
  into.ca_pem = std::move(*ca);
  auto name = text(cluster, "tls-server-name");
  if (!name) return fail(name.error());
  into.tls_server_name = std::move(*name);
  if (const Node* insecure = cluster.find("insecure-skip-tls-verify")) {
    if (!insecure->scalar.is_boolean()) return wrong(*insecure, "insecure-skip-tls-verify: must be true or false");
    into.insecure_skip_verify = insecure->scalar.get<bool>();
    if (into.insecure_skip_verify && !into.ca_pem.empty()) {
      return wrong(*insecure, "insecure-skip-tls-verify and certificate-authority contradict each other; remove one of them");
    }
  }
  return {};
}

Result<void> Kubeconfig::read_user(const Part& part, Configuration& into) const {
  const Node& user = *part.node;
  constexpr std::string_view kOther = "use a client certificate, a token or a tokenFile; `kubectl create token` makes a token";
  constexpr std::string_view kSelf = "use a context whose user is the one to act as";
  const std::pair<std::string_view, std::string_view> unsupported[] = {
      {"exec", kOther}, {"auth-provider", kOther}, {"username", kOther}, {"password", kOther},
      {"as", kSelf},    {"as-uid", kSelf},         {"as-groups", kSelf}, {"as-user-extra", kSelf},
  };
  for (const auto& [field, advice] : unsupported) {
    if (auto refused = refuse(user, field, advice); !refused) return refused;
  }
  auto cert = inline_or_file(part, "client-certificate");
  if (!cert) return fail(cert.error());
  auto key = inline_or_file(part, "client-key");
  if (!key) return fail(key.error());
  if (cert->empty() != key->empty()) return wrong(user, "client-certificate and client-key belong together; one of them is missing");
  into.client_cert_pem = std::move(*cert);
  into.client_key_pem = std::move(*key);
  auto token = text(user, "token");
  if (!token) return fail(token.error());
  into.token = std::move(*token);
  auto token_file = text(user, "tokenFile");
  if (!token_file) return fail(token_file.error());
  if (!token_file->empty()) into.token_file = part.file->path.parent_path() / *token_file;
  return {};
}

Result<Configuration> Kubeconfig::read(std::string context_name) {
  for (const auto& file : files_) {
    if (!context_name.empty()) break;
    auto current = text(file.root, "current-context");
    if (!current) return fail(current.error());
    context_name = std::move(*current);
  }
  if (context_name.empty()) {
    return fail(ErrorCode::kInvalid, "{}: no current-context; `kubectl config use-context NAME` sets one", names());
  }
  const auto context = entry("contexts", "context", context_name);
  if (!context) return fail(context.error());
  Configuration configuration;
  auto ns = text(*context->node, "namespace");
  if (!ns) return fail(ns.error());
  configuration.ns = ns->empty() ? "default" : std::move(*ns);
  const auto cluster_name = text(*context->node, "cluster");
  if (!cluster_name) return fail(cluster_name.error());
  const auto cluster = entry("clusters", "cluster", *cluster_name);
  if (!cluster) return fail(cluster.error());
  if (auto done = read_cluster(*cluster, configuration); !done) return fail(done.error());
  const auto user_name = text(*context->node, "user");
  if (!user_name) return fail(user_name.error());
  if (user_name->empty()) return configuration;  // anonymous
  const auto user = entry("users", "user", *user_name);
  if (!user) return fail(user.error());
  if (auto done = read_user(*user, configuration); !done) return fail(done.error());
  return configuration;
}

}  // namespace

Result<Configuration> in_cluster(const std::filesystem::path& service_account) {
  const auto host = variable("KUBERNETES_SERVICE_HOST");
  const auto port = variable("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return fail(ErrorCode::kNotFound, "this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; name a kubeconfig");
  }
  Configuration configuration;
  configuration.server =
      host.find(':') != std::string::npos ? fmt::format("https://[{}]:{}", host, port) : fmt::format("https://{}:{}", host, port);
  configuration.token_file = service_account / "token";
  const auto without_account = [](const Error& error) {
    return fail(error.in("the pod has no service account token mounted (automountServiceAccountToken)"));
  };
  auto token = content_of(configuration.token_file);
  if (!token) return without_account(token.error());
  auto ca = content_of(service_account / "ca.crt");
  if (!ca) return without_account(ca.error());
  configuration.ca_pem = std::move(*ca);
  auto ns = content_of(service_account / "namespace");
  if (!ns) return without_account(ns.error());
  configuration.ns = ns->substr(0, ns->find('\n'));
  return configuration;
}

Result<Configuration> from_kubeconfig(const std::filesystem::path& file, const std::string& context) {
  Kubeconfig kubeconfig;
  if (auto added = kubeconfig.add(file); !added) return fail(added.error());
  return kubeconfig.read(context);
}

namespace {

// $KUBECONFIG: what is not there is left out, unless nothing is.
Result<Configuration> from_list(std::string_view list) {
  Kubeconfig kubeconfig;
  std::optional<Error> missing;
  bool any = false;
  while (!list.empty()) {
    const auto end = std::min(list.find(':'), list.size());
    const std::filesystem::path file(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (file.empty()) continue;
    auto added = kubeconfig.add(file);
    std::error_code ignored;
    const bool there = std::filesystem::exists(file, ignored);
    if (!added && there) return fail(added.error());
    if (!added && !missing) missing = added.error();
    any = any || there;
  }
  if (!any) return fail(*missing);
  return kubeconfig.read({});
}

}  // namespace

Result<Configuration> find_configuration(const std::filesystem::path& kubeconfig) {
  if (!kubeconfig.empty()) return from_kubeconfig(kubeconfig);
  const auto list = variable("KUBECONFIG");
  if (list.find_first_not_of(':') != std::string::npos) return from_list(list);
  if (!variable("KUBERNETES_SERVICE_HOST").empty()) return in_cluster();
  const auto standard = std::filesystem::path(variable("HOME")) / ".kube" / "config";
  std::error_code ignored;
  if (std::filesystem::exists(standard, ignored)) return from_kubeconfig(standard);
  return fail(ErrorCode::kNotFound,
              "no way to an API server is known: this is no pod, KUBECONFIG is not set, and there is no {}; "
              "name a kubeconfig",
              standard.string());
}

}  // namespace cistern::kube
