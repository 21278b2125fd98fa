#include "operator/runtime_files/containerd_config.hpp"

#include <algorithm>
#include <array>
#include <fnmatch.h>
#include <fstream>
#include <iterator>

#include "operator/runtime_files/toml.hpp"

namespace cistern::runtime_files {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSections = {"io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "cri"};
constexpr int kDeepest = 8;  // imports of imports

const toml::table* registry_of(const toml::table& root, const char* section) { return root["plugins"][section]["registry"].as_table(); }

void read_registry(const toml::table& registry, ContainerdConfig& out) {
  if (const auto path = registry["config_path"].value<std::string>()) out.config_path = *path;
  if (const auto* configs = registry["configs"].as_table()) out.has_configs = out.has_configs || !configs->empty();
  if (const auto* mirrors = registry["mirrors"].as_table()) {
    for (const auto& [name, node] : *mirrors) {
      if (const auto* mirror = node.as_table()) out.mirrors[std::string(name.str())] = texts_at(*mirror, "endpoint");
    }
  }
}

// Files that an import names: absolute or beside the importing file, the last element may be a pattern.
std::vector<fs::path> imported(const fs::path& root, const fs::path& importing, const std::string& import) {
  const fs::path pattern = fs::path(import).is_absolute() ? fs::path(import) : importing.parent_path() / import;
  if (pattern.filename().string().find_first_of("*?[") == std::string::npos) return {pattern};
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / pattern.parent_path().relative_path(), error)) {
    const auto name = entry.path().filename();
    if (::fnmatch(pattern.filename().c_str(), name.c_str(), 0) == 0) files.push_back(pattern.parent_path() / name);
  }
  std::ranges::sort(files);
  return files;
}

void read_file(const fs::path& root, const fs::path& file, int depth, ContainerdConfig& out) {
  std::ifstream in(root / file.relative_path(), std::ios::binary);
  if (!in) {
    if (depth > 0) out.problems.push_back(fmt::format("{}: it is imported and can not be read", file.string()));
    return;
  }
  out.exists = true;
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto parsed = parse_toml(text);
  if (!parsed) {
    out.problems.push_back(fmt::format("{}: {}", file.string(), parsed.error().message));
    return;
  }
  if (depth == 0) out.version = static_cast<int>((*parsed)["version"].value_or<std::int64_t>(1));
  for (const char* section : kSections) {
    if (const auto* registry = registry_of(*parsed, section)) read_registry(*registry, out);
  }
  for (const char* section : kSections) {
    const auto plugin = (*parsed)["plugins"][section];
    for (const auto& said : {plugin["sandbox_image"].value<std::string>(), plugin["pinned_images"]["sandbox"].value<std::string>()}) {
      if (said) out.sandbox_image = *said;
    }
  }
  if (depth == kDeepest) return;
  for (const auto& import : texts_at(*parsed, "imports")) {
    for (const auto& next : imported(root, file, import)) read_file(root, next, depth + 1, out);
  }
}

}  // namespace

std::vector<std::string> ContainerdConfig::folders() const {
  std::vector<std::string> folders;
  std::string_view rest = config_path ? std::string_view(*config_path) : std::string_view();
  while (!rest.empty()) {
    const auto end = std::min(rest.find(':'), rest.size());
    if (end > 0) folders.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return folders;
}

ContainerdConfig read_containerd_config(const fs::path& root, const fs::path& file) {
  ContainerdConfig config;
  config.file = file;
  read_file(root, file, 0, config);
  return config;
}

Result<std::string> with_config_path(const std::string& text, const std::string& config_path) {
  const auto before = parse_toml(text);
  if (!before) return fail(before.error());
  const auto version = (*before)["version"].value_or<std::int64_t>(1);
  if (version < 2) return fail(ErrorCode::kConflict, "a file of version 1 has other sections; migrate it (`containerd config migrate`)");
  const char* section = version >= 3 ? kSections[0] : kSections[1];
  ContainerdConfig found;
  const auto* registry = registry_of(*before, section);
  if (registry != nullptr) read_registry(*registry, found);
  if (!found.mirrors.empty() || found.has_configs) {
    return fail(ErrorCode::kConflict, "registry.mirrors or registry.configs are set, beside which config_path would stop the CRI plugin");
  }
  const std::string line = fmt::format("config_path = {}\n", toml_string(config_path));
  std::string after = text;
  if (!after.empty() && !after.ends_with('\n')) after += '\n';
  if (registry == nullptr) {
    after += fmt::format("\n[plugins.{}.registry]\n{}", toml_string(section), line);
  } else {
    // Below the table's own header, or in place of the setting that is there. Lines count from 1.
    const auto* set = registry->get("config_path");
    const auto at_line = (set != nullptr ? set->source().begin.line - 1 : registry->source().begin.line);
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < at_line; ++i) at = after.find('\n', at) + 1;
    if (set != nullptr) after.erase(at, after.find('\n', at) + 1 - at);
    after.insert(at, line);
  }
  // The proof of it: what is read is what was meant, and the rest is as it was.
  auto proof = parse_toml(after);
  auto meant = *before;
  const auto child = [](toml::table& table, std::string_view key) { return table.emplace<toml::table>(key).first->second.as_table(); };
  toml::table* at = &meant;
  for (const std::string_view key : {std::string_view("plugins"), std::string_view(section), std::string_view("registry")}) {
    at = child(*at, key);
    if (at == nullptr) return fail(ErrorCode::kConflict, "the file is laid out in a way that is not edited safely");
  }
  at->insert_or_assign("config_path", config_path);
  if (!proof || *proof != meant) return fail(ErrorCode::kConflict, "the file is laid out in a way that is not edited safely");
  return after;
}

}  // namespace cistern::runtime_files
