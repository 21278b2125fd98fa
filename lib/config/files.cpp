#include "config/files.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/encoding.hpp"
#include "config/checks.hpp"

namespace cistern::config {
namespace {

constexpr std::size_t kMaxFile = 1 << 20;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

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

Files::Files(const std::filesystem::path& folder) : folder_(std::filesystem::absolute(folder).lexically_normal()) {}

std::filesystem::path Files::absolute(const std::string& name) const { return (folder_ / name).lexically_normal(); }

Result<std::string> Files::read(const std::string& name) {
  const std::string path = absolute(name).string();
  looked_for_.push_back(path);
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(ErrorCode::kNotFound, "{} does not exist", path);
    return fail(system_error(errno, "open " + path));
  }
  std::string content(kMaxFile + 1, '\0');
  content.resize(std::fread(content.data(), 1, content.size(), file.get()));
  if (std::ferror(file.get()) != 0) return fail(system_error(errno, "read " + path));
  if (content.size() > kMaxFile) return fail(ErrorCode::kInvalid, "{} is larger than 1 MiB", path);
  add_to_hash(name, content);
  return content;
}

void Files::add_to_hash(std::string_view name, std::string_view content) {
  hash_.update(fmt::format("{} {} {} ", name.size(), name, content.size()));
  hash_.update(content);
}

Result<Credentials> Files::read_credentials(const std::string& folder, const std::vector<std::string>& hosts) {
  Credentials credentials;
  struct Secret {
    const char* file;
    std::string& out;
  };
  bool found = false;
  for (const auto& secret :
       {Secret{"username", credentials.username}, Secret{"password", credentials.password}, Secret{"token", credentials.token}}) {
    auto content = read(folder + "/" + secret.file);
    if (!content && content.error().code != ErrorCode::kNotFound) return fail(content.error());
    if (!content) continue;
    secret.out = without_line_break(*content);
    if (secret.out.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return fail(ErrorCode::kInvalid, "{} holds more than one line", absolute(folder + "/" + secret.file).string());
    }
    found = found || !secret.out.empty();
  }
  auto docker = read(folder + "/.dockerconfigjson");
  if (docker && !found) {
    auto resolved = from_docker_config(*docker, hosts);
    if (!resolved) return fail(resolved.error().in(absolute(folder + "/.dockerconfigjson").string()));
    return resolved;
  }
  if (!docker && docker.error().code != ErrorCode::kNotFound) return fail(docker.error());
  if (!found) {
    return fail(ErrorCode::kNotFound, "{} holds no credentials; put the files username and password there, or token, or .dockerconfigjson",
                absolute(folder).string());
  }
  if (credentials.token.empty() && credentials.username.empty()) {
    return fail(ErrorCode::kInvalid, "{} holds a password without a username", absolute(folder).string());
  }
  return credentials;
}

Result<std::string> Files::read_certificates(const std::string& name) {
  auto content = read(name);
  if (!content) return content;
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(content->data(), static_cast<int>(content->size())), &BIO_free);
  unsigned count = 0;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    X509_free(certificate);
    ++count;
  }
  // The end of the text is told as "no start line"; anything else is a broken certificate.
  const bool clean_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (count == 0 || !clean_end) {
    return fail(ErrorCode::kInvalid, "{} is not a PEM file of certificates (-----BEGIN CERTIFICATE-----)", absolute(name).string());
  }
  return content;
}

std::string Files::hash() const { return hash_.digest().hex().substr(0, 16); }

}  // namespace cistern::config
