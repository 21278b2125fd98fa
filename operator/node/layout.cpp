#include "operator/node/layout.hpp"

#include <algorithm>

#include "operator/render/runtime.hpp"
#include "operator/runtime_files/hosts_toml.hpp"
#include "operator/runtime_files/registries_conf.hpp"

namespace cistern::node {
namespace {

constexpr std::string_view kHostsFile = "hosts.toml";
constexpr std::string_view kDefaultFolder = "_default";

class LayingOut {
 public:
  LayingOut(const fs::path& root, const Config& config, const Detection& detection, const Keeper& keeper)
      : root_(root), config_(config), detection_(detection), keeper_(keeper) {}

  Layout run() {
    // Those with another way first.
    for (const bool strict : {false, true}) {
      for (const auto& registry : config_.registries) {
        if (detection_.containerd && is_strict(registry) == strict) add_hosts_file(registry);
      }
    }
    if (detection_.crio && !config_.registries.empty()) add_drop_in();
    if (detection_.containerd) add_config_edit();
    return std::move(out_);
  }

 private:
  bool is_strict(const RegistryConfig& registry) const { return registry.strict && detection_.may_be_strict(registry.name); }
  bool exists(const fs::path& path) const {
    const auto resolved = resolve(root_, path / ".");
    std::error_code error;
    return resolved && fs::exists(fs::symlink_status(root_ / resolved->relative_path(), error));
  }
  bool is_made_by_us(const std::string& folder) const {
    return std::ranges::any_of(keeper_.ledger().files, [&](const auto& file) {
      return std::ranges::find(file.second.folders, folder) != file.second.folders.end();
    });
  }

  // The folder that containerd will use for a registry once there is a hosts.toml in it, and the one that it would use without us.
  struct Folder {
    std::string ours;
    std::string before;  // empty: none, it asks the registry itself
  };
  Folder folder_of(const std::string& registry) const {
    for (const auto& base : detection_.hosts_folders) {
      for (const auto& name : runtime_files::host_folders(registry)) {
        const std::string folder = fs::path(base) / name;
        if (!exists(folder)) continue;
        if (!is_made_by_us(folder)) return {folder, folder};
        return {folder, default_folder(base)};
      }
      if (const auto fallback = default_folder(base); !fallback.empty()) return {fs::path(base) / registry, fallback};
    }
    return {fs::path(detection_.hosts_folders.front()) / registry, ""};
  }
  std::string default_folder(const std::string& base) const {
    const std::string folder = fs::path(base) / kDefaultFolder;
    return exists(folder) ? folder : "";
  }

  // The hosts.toml that containerd would read in a folder, and the certificates that it would take without one.
  void read_before(const std::string& folder, runtime_files::MirrorFirst& parts) const {
    if (folder.empty()) return;
    parts.folder = folder;
    parts.before = keeper_.before(fs::path(folder) / kHostsFile).value_or("");
    if (!parts.before.empty() && runtime_files::parse_hosts_toml(parts.before)) return;
    // containerd passes over a file that it can not read.
    parts.before.clear();
    if (const auto resolved = resolve(root_, fs::path(folder) / ".")) {
      parts.certificates = runtime_files::certificates_in(root_ / resolved->relative_path());
    }
  }

  void add_hosts_file(const RegistryConfig& registry) {
    const auto folder = folder_of(registry.name);
    const auto path = resolve(root_, fs::path(folder.ours) / kHostsFile);
    if (!path) {
      out_.findings.push_back({"NotConfigured", fmt::format("{} is left as it is: {}", registry.name, path.error().message), false});
      return;
    }
    const auto same = [&](const DesiredFile& file) { return file.path == *path; };
    if (std::ranges::any_of(out_.files, same)) {
      out_.findings.push_back(
          {"NotConfigured", fmt::format("{} shares {} with another registry by a link", registry.name, path->string()), false});
      return;
    }
    runtime_files::MirrorFirst parts;
    parts.mark = render::kMark;
    parts.mirror = config_.mirror;
    read_before(folder.before, parts);
    auto fallback = runtime_files::hosts_toml_with_mirror(parts);
    if (!fallback) {
      out_.findings.push_back({"NotConfigured", fmt::format("{} is left as it is: {}", registry.name, fallback.error().message), false});
      return;
    }
    auto content = is_strict(registry) ? runtime_files::strict_hosts_toml(render::kMark, config_.mirror) : *fallback;
    out_.files.push_back({*path, std::move(content), std::move(*fallback)});
  }

  void add_drop_in() {
    const auto path = resolve(root_, fs::path(kCrioFile));
    if (!path) return;
    const auto own = fs::path(kCrioFile).filename().string();
    std::string content = fmt::format("{}\n", render::kMark);
    std::string fallback = content;
    for (const auto& registry : config_.registries) {
      const auto before = runtime_files::registry_entry_in_force(root_, registry.name, own);
      if (before && before->blocked) {
        out_.findings.push_back({"NotConfigured", fmt::format("{} is blocked by {}, and stays so", registry.name, before->source), false});
        continue;
      }
      if (before && fs::path(before->source).filename().string() > own) {
        out_.findings.push_back(
            {"NotConfigured",
             fmt::format("{} is set by {}, which counts more than {}: rename it to come before", registry.name, before->source, kCrioFile),
             false});
      }
      const auto mirror = fmt::format("{}/{}", config_.listen, registry.name);
      const auto soft = runtime_files::registry_with_mirror(registry.name, mirror, before);
      content += is_strict(registry) ? runtime_files::strict_registry(registry.name, mirror) : soft;
      fallback += soft;
    }
    out_.files.push_back({*path, std::move(content), std::move(fallback)});
  }

  void add_config_edit() {
    const auto path = resolve(root_, detection_.config_file);
    if (!path || !config_.configure_containerd) return;
    if (const auto known = keeper_.ledger().files.find(*path); known != keeper_.ledger().files.end()) {
      out_.config_edit = DesiredFile{*path, known->second.content, known->second.content, true};
    } else if (detection_.config_edit) {
      auto content = fmt::format("{}: config_path, and nothing else\n{}", render::kMark, *detection_.config_edit);
      out_.config_edit = DesiredFile{*path, content, content, true};
    }
  }

  const fs::path& root_;
  const Config& config_;
  const Detection& detection_;
  const Keeper& keeper_;
  Layout out_;
};

}  // namespace

Layout lay_out(const fs::path& root, const Config& config, const Detection& detection, const Keeper& keeper) {
  return LayingOut(root, config, detection, keeper).run();
}

}  // namespace cistern::node
