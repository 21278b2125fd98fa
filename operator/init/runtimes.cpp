#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "operator/init/facts.hpp"
#include "operator/render/runtime.hpp"
#include "operator/runtime_files/containerd_config.hpp"
#include "operator/runtime_files/hosts_toml.hpp"
#include "operator/runtime_files/registries_conf.hpp"

namespace cistern::init {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.starts_with(render::kMark) ? "" : text;
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::string with_scheme(const std::string& url, const char* scheme) { return url.find("://") == std::string::npos ? scheme + url : url; }

class Registries {
 public:
  void add(RegistryFact fact) {
    const auto same = [&](const RegistryFact& known) { return known.name == fact.name; };
    if (fact.name.empty() || fact.endpoints.empty() || std::any_of(facts_.begin(), facts_.end(), same)) return;
    facts_.push_back(std::move(fact));
  }
  std::vector<RegistryFact> take() { return std::move(facts_); }

 private:
  std::vector<RegistryFact> facts_;
};

// certs.d/<registry>/hosts.toml; `server` is asked last, and is the registry itself unless given.
void read_certs_d(const fs::path& folder, Registries& out) {
  for (const auto& entry : sorted_entries(folder)) {
    const std::string text = text_of(entry / "hosts.toml");
    RegistryFact fact;
    fact.name = entry.filename().string();
    const auto file = runtime_files::parse_hosts_toml(text);
    if (text.empty() || !file || fact.name == "_default") continue;
    fact.source = (entry / "hosts.toml").string();
    for (const auto& host : file->hosts) {
      const bool pulls = host.capabilities.empty() || std::ranges::count(host.capabilities, "pull") > 0;
      if (pulls) fact.endpoints.push_back(with_scheme(host.url, "https://"));
      fact.insecure = fact.insecure || host.skip_verify;
    }
    fact.endpoints.push_back(file->server.empty() ? home_of(fact.name) : with_scheme(file->server, "https://"));
    out.add(std::move(fact));
  }
}

// containerd's config.toml: config_path, and the older registry.mirrors."NAME".endpoint.
void read_containerd(const fs::path& root, Registries& out) {
  const auto config = runtime_files::read_containerd_config(root, "/etc/containerd/config.toml");
  for (const auto& folder : config.folders()) read_certs_d(root / fs::path(folder).relative_path(), out);
  for (const auto& [name, endpoints] : config.mirrors) out.add({name, endpoints, false, (root / config.file.relative_path()).string()});
  read_certs_d(root / "etc/containerd/certs.d", out);
}

// registries.conf: an entry's mirrors are asked before its location.
void read_registries_conf(const fs::path& file, Registries& out) {
  const auto entries = runtime_files::parse_registries_conf(text_of(file));
  if (!entries) return;
  for (const auto& entry : *entries) {
    // Prefixes of repositories and wildcards have no counterpart.
    if (entry.blocked || entry.prefix.find_first_of("/*") != std::string::npos) continue;
    RegistryFact fact;
    fact.name = entry.prefix;
    fact.source = file.string();
    for (const auto& mirror : entry.mirrors) fact.endpoints.push_back((mirror.insecure ? "http://" : "https://") + mirror.location);
    const bool is_home = entry.location.empty() || (entry.location == entry.prefix && !entry.insecure);
    fact.endpoints.push_back(is_home ? home_of(fact.name) : (entry.insecure ? "http://" : "https://") + entry.location);
    out.add(std::move(fact));
  }
}

}  // namespace

std::vector<RegistryFact> gather_registries(const fs::path& root) {
  Registries found;
  read_containerd(root, found);
  for (const auto& file : sorted_entries(root / "etc/containers/registries.conf.d")) {
    if (file.extension() == ".conf") read_registries_conf(file, found);
  }
  read_registries_conf(root / "etc/containers/registries.conf", found);
  return found.take();
}

}  // namespace cistern::init
