#include "config/credentials.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/encoding.hpp"

namespace cistern::config {
namespace {

std::string without_line_break(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

// Keys of "auths" are hosts or URLs: "ghcr.io", "https://index.docker.io/v1/".
std::string host_of_auth_key(std::string_view key) {
  if (const auto scheme = key.find("://"); scheme != std::string_view::npos) key.remove_prefix(scheme + 3);
  std::string host(key.substr(0, key.find('/')));
  return host == "index.docker.io" || host == "registry-1.docker.io" ? "docker.io" : host;
}

Result<Credentials> from_auth_entry(const nlohmann::json& entry, std::string_view host) {
  Credentials credentials;
  const auto text = [&](const char* name) {
    const auto found = entry.find(name);
    return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  credentials.token = text("registrytoken");
  credentials.username = text("username");
  credentials.password = text("password");
  if (const std::string auth = text("auth"); !auth.empty() && credentials.username.empty()) {
    const auto decoded = from_base64(auth);
    const auto colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos) return fail(ErrorCode::kInvalid, "\"auth\" of {} is not base64 of USERNAME:PASSWORD", host);
    credentials.username = decoded->substr(0, colon);
    credentials.password = decoded->substr(colon + 1);
  }
  if (credentials == Credentials{}) return fail(ErrorCode::kInvalid, "the entry of {} holds neither \"auth\" nor \"username\"", host);
  return credentials;
}

Result<Credentials> from_docker_config(const std::string& text, const std::vector<std::string>& hosts) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("auths") || !json["auths"].is_object()) {
    return fail(ErrorCode::kInvalid, "is not a JSON object with \"auths\", as `docker login` writes it");
  }
  for (const auto& host : hosts) {
    for (const auto& entry : json["auths"].items()) {
      if (host_of_auth_key(entry.key()) == host_of_auth_key(host) && entry.value().is_object()) return from_auth_entry(entry.value(), host);
    }
  }
  return fail(ErrorCode::kInvalid, "has no entry for {}", hosts.front());
}

}  // namespace

Result<Credentials> to_credentials(const std::map<std::string, std::string>& contents, const std::vector<std::string>& hosts) {
  Credentials credentials;
  struct Secret {
    const char* key;
    std::string& out;
  };
  bool found = false;
  for (const auto& secret :
       {Secret{"username", credentials.username}, Secret{"password", credentials.password}, Secret{"token", credentials.token}}) {
    const auto content = contents.find(secret.key);
    if (content == contents.end()) continue;
    secret.out = without_line_break(content->second);
    if (secret.out.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return fail(ErrorCode::kInvalid, "{} holds more than one line", secret.key);
    }
    found = found || !secret.out.empty();
  }
  if (!found) {
    const auto docker = contents.find(".dockerconfigjson");
    if (docker == contents.end()) return fail(ErrorCode::kNotFound, "neither username and password, nor token, nor .dockerconfigjson");
    auto resolved = from_docker_config(docker->second, hosts);
    if (!resolved) return fail(resolved.error().in(".dockerconfigjson"));
    return resolved;
  }
  if (credentials.token.empty() && credentials.username.empty()) {
    return fail(ErrorCode::kInvalid, "there is a password without a username");
  }
  return credentials;
}

std::vector<std::string> credential_hosts(const std::string& registry, const Url& upstream) {
  std::vector<std::string> hosts = {upstream.authority(), upstream.host};
  if (!registry.empty()) hosts.push_back(registry);
  return hosts;
}

Result<void> check_certificates(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  unsigned count = 0;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    X509_free(certificate);
    ++count;
  }
  // The end of the text is told as "no start line"; anything else is a broken certificate.
  const bool clean_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (count > 0 && clean_end) return {};
  return fail(ErrorCode::kInvalid, "is not a PEM file of certificates (-----BEGIN CERTIFICATE-----)");
}

}  // namespace cistern::config
