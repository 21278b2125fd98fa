#include "operator/render/references.hpp"

#include <algorithm>
#include <set>

#include "config/credentials.hpp"

namespace cistern::render {
namespace {

constexpr const char* kCaKey = "ca.crt";
// A Secret's keys have at most 253 characters; the longest that is put behind a name is "..dockerconfigjson".
constexpr std::size_t kLongestName = 235;

const char* keys_wanted(const ReferenceUse& use) {
  return use.registry.empty() ? "the keys username and password, or token"
                              : "the key .dockerconfigjson (type kubernetes.io/dockerconfigjson), or username and password";
}

using Objects = std::map<std::string, std::map<std::string, std::string>>;

const std::string* find_key(const Objects& objects, const std::string& name, const char* key) {
  const auto object = objects.find(name);
  if (object == objects.end()) return nullptr;
  const auto found = object->second.find(key);
  return found == object->second.end() ? nullptr : &found->second;
}

void add_names(const yaml::Node& node, std::set<std::string>& credentials, std::set<std::string>& certificates) {
  for (const auto& child : node.children) {
    const bool ca = child.key == "caRef";
    const yaml::Node* name = ca || child.key == "credentialsRef" ? child.find("name") : nullptr;
    if (name == nullptr) {
      add_names(child, credentials, certificates);
    } else if (name->scalar.is_string()) {
      (ca ? certificates : credentials).insert(name->scalar.get<std::string>());
    }
  }
}

}  // namespace

std::string SecretFiles::miss(const ReferenceUse& use, const std::string& field, const std::string& reason) {
  const std::string path = use.path + "." + field;
  const bool known =
      std::any_of(missing_.begin(), missing_.end(), [&](const auto& one) { return one.path == path && one.reason == reason; });
  if (!known) missing_.push_back({path, reason});
  return "";
}

std::string SecretFiles::credentials(const ReferenceUse& use) {
  const auto missing = [&](const std::string& reason) { return miss(use, "credentialsRef", reason); };
  const auto secret = references_.secrets.find(use.name);
  if (secret == references_.secrets.end()) {
    return missing(fmt::format("Secret {} does not exist in {}; create it with {}", use.name, ns_, keys_wanted(use)));
  }
  if (use.name.size() > kLongestName) {
    return missing(
        fmt::format("the name of Secret {} is too long to be passed on; give it one of at most {} characters", use.name, kLongestName));
  }
  std::map<std::string, std::string> contents;
  for (const auto key : config::kCredentialKeys) {
    if (const auto found = secret->second.find(std::string(key)); found != secret->second.end()) contents.insert(*found);
  }
  const auto url = config::parse_url(use.url);
  const auto usable = url ? config::to_credentials(contents, config::credential_hosts(use.registry, *url)) : fail(url.error());
  if (!usable) {
    const char* sees = usable.error().code == ErrorCode::kNotFound ? "has " : "can not be used: ";
    return missing(fmt::format("Secret {} in {} {}{}; give it {}", use.name, ns_, sees, usable.error().message, keys_wanted(use)));
  }
  for (auto& [key, content] : contents) files_[use.name + "." + key] = std::move(content);
  return use.name;
}

std::string SecretFiles::ca(const ReferenceUse& use) {
  const auto missing = [&](const std::string& reason) {
    return miss(use, "caRef", reason + "; until then the system's certificates are trusted");
  };
  const std::string* pem = find_key(references_.config_maps, use.name, kCaKey);
  const char* kind = pem != nullptr ? "ConfigMap" : "Secret";
  if (pem == nullptr) pem = find_key(references_.secrets, use.name, kCaKey);
  if (pem == nullptr) {
    return missing(fmt::format("neither a ConfigMap nor a Secret {} in {} has the key ca.crt; create one with the certificates as PEM",
                               use.name, ns_));
  }
  if (use.name.size() > kLongestName) {
    return missing(
        fmt::format("the name of {} {} is too long to be passed on; give it one of at most {} characters", kind, use.name, kLongestName));
  }
  if (auto usable = config::check_certificates(*pem); !usable) {
    return missing(fmt::format("ca.crt of {} {} in {} {}; put the certificates there", kind, use.name, ns_, usable.error().message));
  }
  const std::string file = use.name + "." + kCaKey;
  files_[file] = *pem;
  return file;
}

ReferencedNames referenced_names(const model::Policy& policy) {
  std::set<std::string> credentials;
  std::set<std::string> certificates;
  add_names(policy.source, credentials, certificates);
  credentials.insert(certificates.begin(), certificates.end());
  return {{credentials.begin(), credentials.end()}, {certificates.begin(), certificates.end()}};
}

}  // namespace cistern::render
