#include "operator/runtime_files/registries_conf.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "operator/runtime_files/toml.hpp"

namespace cistern::runtime_files {
namespace {

namespace fs = std::filesystem;

RegistryEntry entry_of(const toml::table& table) {
  RegistryEntry entry;
  entry.location = text_at(table, "location");
  entry.prefix = text_at(table, "prefix");
  if (entry.prefix.empty()) entry.prefix = entry.location;
  entry.insecure = is_true(table, "insecure");
  entry.blocked = is_true(table, "blocked");
  entry.mirror_by_digest_only = is_true(table, "mirror-by-digest-only");
  if (const auto* mirrors = table["mirror"].as_array()) {
    for (const auto& node : *mirrors) {
      const auto* mirror = node.as_table();
      if (mirror == nullptr || text_at(*mirror, "location").empty()) continue;
      entry.mirrors.push_back({text_at(*mirror, "location"), is_true(*mirror, "insecure"), text_at(*mirror, "pull-from-mirror")});
    }
  }
  return entry;
}

std::string mirror_table(std::string_view location, bool insecure, std::string_view pull_from_mirror) {
  std::string out = fmt::format("\n[[registry.mirror]]\nlocation = {}\n", toml_string(location));
  if (insecure) out += "insecure = true\n";
  if (!pull_from_mirror.empty()) out += fmt::format("pull-from-mirror = {}\n", toml_string(pull_from_mirror));
  return out;
}

}  // namespace

Result<std::vector<RegistryEntry>> parse_registries_conf(std::string_view text) {
  const auto root = parse_toml(text);
  if (!root) return fail(root.error());
  std::vector<RegistryEntry> entries;
  if (const auto* registries = (*root)["registry"].as_array()) {
    for (const auto& node : *registries) {
      if (const auto* table = node.as_table()) entries.push_back(entry_of(*table));
    }
  }
  return entries;
}

std::optional<RegistryEntry> registry_entry_in_force(const fs::path& root, std::string_view prefix, std::string_view leave_out) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / "etc/containers/registries.conf.d", error)) {
    if (entry.path().extension() == ".conf" && entry.path().filename() != leave_out) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  files.insert(files.begin(), root / "etc/containers/registries.conf");
  std::optional<RegistryEntry> found;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    auto entries = parse_registries_conf(text);
    if (!entries) continue;
    for (auto& entry : *entries) {
      if (entry.prefix != prefix) continue;
      found = std::move(entry);
      found->source = "/" + file.lexically_relative(root).string();
    }
  }
  return found;
}

std::string registry_with_mirror(std::string_view registry, std::string_view mirror, const std::optional<RegistryEntry>& before) {
  const std::string location = before && !before->location.empty() ? before->location : std::string(registry);
  std::string out = fmt::format("\n[[registry]]\nprefix = {}\nlocation = {}\n", toml_string(registry), toml_string(location));
  if (before && before->insecure) out += "insecure = true\n";
  out += mirror_table(mirror, true, "");
  if (!before) return out;
  for (const auto& other : before->mirrors) {
    // What held for all mirrors of the entry is said of each, since ours is asked for tags too.
    const auto pulls = other.pull_from_mirror.empty() && before->mirror_by_digest_only ? "digest-only" : other.pull_from_mirror;
    out += mirror_table(other.location, other.insecure, pulls);
  }
  return out;
}

std::string strict_registry(std::string_view registry, std::string_view mirror) {
  return fmt::format("\n[[registry]]\nprefix = {}\nlocation = {}\ninsecure = true\n", toml_string(registry), toml_string(mirror));
}

}  // namespace cistern::runtime_files
