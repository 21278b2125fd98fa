#include "tests/fakes/api_server/api_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/encoding.hpp"
#include "tests/fakes/api_server/connection.hpp"

namespace cistern::fakes {

std::string ApiRequest::parameter(std::string_view name) const {
  std::string_view rest(query);
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const auto equal = pair.find('=');
    if (pair.substr(0, equal) != name) continue;
    const auto value = equal == std::string_view::npos ? std::string_view() : pair.substr(equal + 1);
    return percent_decode(value).value_or(std::string(value));
  }
  return {};
}

bool ApiRequest::is_watch() const { return method == "GET" && parameter("watch") == "true"; }

ApiServer::ApiServer(ApiServerOptions options)
    : options_(std::move(options)),
      certificate_(options_.tls ? make_certificate("fake API server", options_.certificate_names) : Certificate{}),
      tokens_(options_.tokens),
      server_([this](Wire& wire) { ApiConnection(*this, wire).run(); },
              options_.tls ? server_context(certificate_, options_.client_ca_pem) : nullptr, options_.ipv6) {}

std::string ApiServer::url() const {
  return fmt::format("{}://{}:{}", options_.tls ? "https" : "http", options_.ipv6 ? "[::1]" : "127.0.0.1", port());
}

kube::Json ApiServer::put(const kube::Resource& resource, kube::Json object) {
  object["kind"] = resource.kind;
  object["apiVersion"] = resource.api_version();
  const auto collection = collection_of(resource);
  const auto key = kube::key_of(object);
  const std::lock_guard lock(mutex_);
  const auto exists = store_.find(collection, key).has_value();
  if (!exists) object["metadata"].erase("resourceVersion");
  auto outcome =
      exists ? store_.replace(collection, key, std::move(object), ObjectStore::Part::kAll) : store_.create(collection, std::move(object));
  changed_.notify_all();
  if (outcome.failure) throw std::runtime_error("put: " + outcome.failure->message);
  return std::move(outcome.object);
}

kube::Json ApiServer::patch(const kube::Resource& resource, const kube::ObjectKey& key, const kube::Json& merge) {
  const std::lock_guard lock(mutex_);
  auto outcome = store_.merge(collection_of(resource), key, merge, ObjectStore::Part::kAll);
  changed_.notify_all();
  if (outcome.failure) throw std::runtime_error("patch: " + outcome.failure->message);
  return std::move(outcome.object);
}

bool ApiServer::remove(const kube::Resource& resource, const kube::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  return store_.erase(collection_of(resource), key);
}

std::optional<kube::Json> ApiServer::object(const kube::Resource& resource, const kube::ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  return store_.find(collection_of(resource), key);
}

std::vector<kube::Json> ApiServer::objects(const kube::Resource& resource) const {
  const std::lock_guard lock(mutex_);
  return store_.list(collection_of(resource));
}

void ApiServer::compact() {
  const std::lock_guard lock(mutex_);
  store_.compact();
}

void ApiServer::set_tokens(std::vector<std::string> tokens) {
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens);
}

// With mutex_ held.
bool ApiServer::admitted(const ApiRequest& request) const {
  if (tokens_.empty()) return true;
  const auto shown = field(request.headers, "Authorization");
  return std::any_of(tokens_.begin(), tokens_.end(), [&](const std::string& token) { return shown == "Bearer " + token; });
}

}  // namespace cistern::fakes
