#include "operator/runtime_files/hosts_toml.hpp"

#include <algorithm>

#include "operator/runtime_files/toml.hpp"

namespace cistern::runtime_files {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCapabilities = "capabilities = [\"pull\", \"resolve\"]";

// The tables below `host`, as they stand in the file.
std::vector<std::pair<std::string, const toml::table*>> hosts_in_order(const toml::table& root) {
  std::vector<std::pair<std::string, const toml::table*>> hosts;
  if (const auto* table = root["host"].as_table()) {
    for (const auto& [url, node] : *table) {
      if (const auto* host = node.as_table()) hosts.emplace_back(std::string(url.str()), host);
    }
  }
  std::ranges::sort(hosts, [](const auto& a, const auto& b) { return a.second->source().begin < b.second->source().begin; });
  return hosts;
}

std::string below(const std::string& folder, const std::string& path) {
  return path.starts_with('/') ? path : (fs::path(folder) / path).lexically_normal().string();
}

// Every string in it is a path, however deep: ca = "x", client = [["cert", "key"], …].
void make_absolute(toml::node& node, const std::string& folder) {
  if (auto* text = node.as_string()) *text = below(folder, text->get());
  if (auto* array = node.as_array()) {
    for (auto& element : *array) make_absolute(element, folder);
  }
}

// The keys of one host (or of the file's top), then its tables, each under its own header.
void append_table(std::string& out, toml::table table, const std::string& path, const std::string& folder) {
  for (const char* key : {"ca", "client"}) {
    if (auto* node = table.get(key)) make_absolute(*node, folder);
  }
  for (const auto& [key, node] : table) {
    if (!node.is_table()) out += fmt::format("{} = {}\n", toml_string(key.str()), to_toml(node));
  }
  for (const auto& [key, node] : table) {
    const auto* child = node.as_table();
    if (child == nullptr) continue;
    const std::string name = path.empty() ? toml_string(key.str()) : path + "." + toml_string(key.str());
    out += fmt::format("\n[{}]\n", name);
    append_table(out, *child, name, folder);
  }
}

std::string certificate_lines(const Certificates& certificates, const std::string& folder) {
  std::string out;
  const auto list = [](const std::vector<std::string>& items) { return fmt::format("[{}]", fmt::join(items, ", ")); };
  std::vector<std::string> items;
  for (const auto& name : certificates.authorities) items.push_back(toml_string(below(folder, name)));
  if (!items.empty()) out += fmt::format("ca = {}\n", list(items));
  items.clear();
  for (const auto& [certificate, key] : certificates.clients) {
    // Always a pair: a list of strings alone would be another type.
    items.push_back(list({toml_string(below(folder, certificate)), toml_string(below(folder, key.empty() ? certificate : key))}));
  }
  if (!items.empty()) out += fmt::format("client = {}\n", list(items));
  return out;
}

}  // namespace

Result<HostsFile> parse_hosts_toml(std::string_view text) {
  const auto root = parse_toml(text);
  if (!root) return fail(root.error());
  HostsFile file;
  file.server = text_at(*root, "server");
  file.skip_verify = is_true(*root, "skip_verify");
  for (const auto& [url, table] : hosts_in_order(*root)) {
    file.hosts.push_back({url, texts_at(*table, "capabilities"), is_true(*table, "skip_verify")});
  }
  return file;
}

std::vector<std::string> host_folders(std::string_view registry) {
  std::vector<std::string> names;
  if (const auto colon = registry.rfind(':'); colon != std::string_view::npos && colon > 0) {
    names.push_back(fmt::format("{}_{}_", registry.substr(0, colon), registry.substr(colon + 1)));
  }
  names.emplace_back(registry);
  return names;
}

Certificates certificates_in(const fs::path& folder) {
  Certificates found;
  std::error_code error;
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder, error)) entries.push_back(entry.path());
  std::ranges::sort(entries);
  for (const auto& path : entries) {
    if (path.extension() == ".crt") found.authorities.push_back(path.filename().string());
    if (path.extension() != ".cert") continue;
    const fs::path key = fs::path(path).replace_extension(".key");
    found.clients.emplace_back(path.filename().string(), fs::exists(key, error) ? key.filename().string() : "");
  }
  return found;
}

Result<std::string> hosts_toml_with_mirror(const MirrorFirst& parts) {
  std::string out = fmt::format("{}\n", parts.mark);
  toml::table before;
  if (!parts.before.empty()) {
    auto parsed = parse_toml(parts.before);
    if (!parsed) return fail(parsed.error());
    before = std::move(*parsed);
  }
  auto top = before;
  top.erase("host");
  append_table(out, std::move(top), "", parts.folder);
  out += certificate_lines(parts.certificates, parts.folder);
  out += fmt::format("\n[host.{}]\n{}\n", toml_string(parts.mirror), kCapabilities);
  for (const auto& [url, host] : hosts_in_order(before)) {
    if (url == parts.mirror) continue;
    const std::string name = "host." + toml_string(url);
    out += fmt::format("\n[{}]\n", name);
    append_table(out, *host, name, parts.folder);
  }
  return out;
}

std::string strict_hosts_toml(std::string_view mark, std::string_view mirror) {
  return fmt::format("{0}\nserver = {1}\n{2}\n\n[host.{1}]\n{2}\n", mark, toml_string(mirror), kCapabilities);
}

}  // namespace cistern::runtime_files
