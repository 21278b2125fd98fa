#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "operator/init/facts.hpp"
#include "operator/init/toml_lines.hpp"
#include "operator/render/runtime.hpp"

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
    if (text.empty() || fact.name == "_default") continue;
    fact.source = (entry / "hosts.toml").string();
    const auto tables = read_toml(text);
    for (const auto& table : tables) {
      if (table.path.size() != 2 || table.path[0] != "host") continue;
      const auto* capabilities = table.find("capabilities");
      const bool pulls = capabilities == nullptr || std::count(capabilities->values.begin(), capabilities->values.end(), "pull") > 0;
      if (pulls) fact.endpoints.push_back(with_scheme(table.path[1], "https://"));
      fact.insecure = fact.insecure || table.get("skip_verify") == "true";
    }
    const std::string server = tables[0].get("server");
    fact.endpoints.push_back(server.empty() ? home_of(fact.name) : with_scheme(server, "https://"));
    out.add(std::move(fact));
  }
}

// containerd's config.toml: config_path, and the older registry.mirrors."NAME".endpoint.
void read_containerd(const fs::path& root, Registries& out) {
  const fs::path file = root / "etc/containerd/config.toml";
  for (const auto& table : read_toml(text_of(file))) {
    if (const std::string path = table.get("config_path"); !path.empty() && !table.path.empty() && table.path.back() == "registry") {
      read_certs_d(root / fs::path(path.substr(0, path.find(':'))).relative_path(), out);
    }
    const auto mirrors = std::find(table.path.begin(), table.path.end(), "mirrors");
    if (mirrors == table.path.end() || mirrors + 1 == table.path.end()) continue;
    if (const auto* endpoint = table.find("endpoint")) out.add({*(mirrors + 1), endpoint->values, false, file.string()});
  }
  read_certs_d(root / "etc/containerd/certs.d", out);
}

// registries.conf: [[registry]] with prefix or location, its [[registry.mirror]] tables follow it and are asked first.
void read_registries_conf(const fs::path& file, Registries& out) {
  RegistryFact current;
  std::string home;
  const auto finish = [&] {
    if (!home.empty()) current.endpoints.push_back(home);
    out.add(std::exchange(current, {}));
    home.clear();
  };
  for (const auto& table : read_toml(text_of(file))) {
    const char* scheme = table.get("insecure") == "true" ? "http://" : "https://";
    const std::string location = table.get("location");
    if (table.path == std::vector<std::string>{"registry"}) {
      finish();
      current.name = table.get("prefix").empty() ? location : table.get("prefix");
      current.source = file.string();
      home = location.empty() || location == current.name ? home_of(current.name) : scheme + location;
      if (location == current.name && table.get("insecure") == "true") home = scheme + location;
      // Prefixes of repositories and wildcards have no counterpart.
      if (current.name.find_first_of("/*") != std::string::npos || table.get("blocked") == "true") current.name.clear();
    } else if (table.path == std::vector<std::string>{"registry", "mirror"} && !location.empty()) {
      current.endpoints.push_back(scheme + location);
    }
  }
  finish();
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
