#include "operator/node/runtimes.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "operator/render/node_config.hpp"
#include "operator/runtime_files/containerd_config.hpp"
#include "operator/runtime_files/sandbox_image.hpp"

namespace cistern::node {
namespace {

constexpr std::string_view kDefaultHostsFolder = "/etc/containerd/certs.d";
constexpr std::pair kDefaultsSince{2, 2};  // containerd's, from which a missing config_path means that folder

// "containerd://2.1.4-rc1" → {2, 1}; {0, 0} if it does not say.
std::pair<int, int> version_of(std::string_view runtime) {
  const auto at = runtime.find("://");
  if (at == std::string_view::npos) return {0, 0};
  runtime.remove_prefix(at + 3);
  if (runtime.starts_with('v')) runtime.remove_prefix(1);
  std::pair<int, int> version{0, 0};
  const auto* end = runtime.data() + runtime.size();
  const auto [next, error] = std::from_chars(runtime.data(), end, version.first);
  if (error == std::errc() && next != end && *next == '.') std::from_chars(next + 1, end, version.second);
  return version;
}

std::string names_of(const Config& config) {
  std::vector<std::string> names;
  for (const auto& registry : config.registries) names.push_back(registry.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// Systems that write their runtime's files themselves, from settings of their own: ours would be overwritten, or the system is read-only.
std::optional<Finding> foreign_layout(const HostFacts& facts, const Config& config) {
  for (const char* name : {"k3s", "rke2"}) {
    if (facts.kubelet.find(std::string("+") + name) == std::string::npos) continue;
    return Finding{
        "WritesItsOwnFiles",
        fmt::format("this node runs {0}, which writes containerd's files itself: for each of {1} set in /etc/rancher/{0}/registries.yaml "
                    "mirrors: {{\"<registry>\": {{endpoint: [\"{2}\"]}}}} and restart {0}",
                    name, names_of(config), config.mirror),
        true};
  }
  if (facts.os_image.starts_with("Talos")) {
    return Finding{
        "WritesItsOwnFiles",
        fmt::format("this node runs Talos, which writes containerd's files itself: for each of {} set in the machine configuration "
                    "machine.registries.mirrors.\"<registry>\".endpoints: [\"{}\"]",
                    names_of(config), config.mirror),
        true};
  }
  if (facts.os_image.starts_with("Bottlerocket")) {
    return Finding{
        "WritesItsOwnFiles",
        fmt::format("this node runs Bottlerocket, whose files are read-only: for each of {} add to settings.container-registry.mirrors "
                    "{{registry = \"<registry>\", endpoint = [\"{}\"]}}",
                    names_of(config), config.mirror),
        true};
  }
  if (facts.runtime.starts_with("docker://")) {
    return Finding{
        "UnknownRuntime",
        fmt::format("this node's runtime is Docker (cri-dockerd), which takes mirrors for docker.io only: set \"registry-mirrors\": "
                    "[\"{}\"] in /etc/docker/daemon.json and reload Docker, or use containerd",
                    config.mirror),
        true};
  }
  return std::nullopt;
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// config.toml does not name a folder: what to say, and what may be done about it.
void find_missing_config_path(const fs::path& root, const runtime_files::ContainerdConfig& read, const Config& config, Detection& out) {
  const auto [major, minor] = version_of(out.runtime);
  if (!read.mirrors.empty() || read.has_configs) {
    out.findings.push_back(
        {"RegistryMirrorsInUse",
         fmt::format("{} sets registry.mirrors or registry.configs, beside which containerd takes no config_path: move them to {}/"
                     "<registry>/hosts.toml, set config_path = \"{}\" instead, and restart containerd",
                     read.file.string(), kDefaultHostsFolder, kDefaultHostsFolder),
         true});
    return;
  }
  const char* section = major >= 2 ? "io.containerd.cri.v1.images" : "io.containerd.grpc.v1.cri";
  const auto advice = fmt::format(
      "containerd reads no hosts.toml, as its config_path is not set: in {} set [plugins.\"{}\".registry] config_path = "
      "\"{}\" and restart containerd, or let this be done by configureContainerd",
      read.file.string(), section, kDefaultHostsFolder);
  if (!config.configure_containerd) {
    out.findings.push_back({"ConfigPathMissing", advice, true});
    return;
  }
  const auto resolved = resolve(root, read.file);
  const auto text = !read.exists ? fmt::format("version = {}\n", major >= 2 ? 3 : 2)
                    : resolved   ? text_of(root / resolved->relative_path())
                                 : std::string();
  auto edited = runtime_files::with_config_path(text, std::string(kDefaultHostsFolder));
  if (!edited || major == 0) {
    out.findings.push_back(
        {"ConfigPathMissing",
         fmt::format("{} (not done here: {})", advice, edited ? "containerd's version is not known" : edited.error().message), true});
    return;
  }
  out.hosts_folders = {std::string(kDefaultHostsFolder)};
  out.config_edit = std::move(*edited);
}

void detect_containerd(const fs::path& root, const Config& config, const std::string& file, Detection& out) {
  const auto read = runtime_files::read_containerd_config(root, file);
  out.config_file = file;
  for (const auto& problem : read.problems) {
    out.findings.push_back(
        {"ConfigInvalid", fmt::format("containerd would not start with its configuration as it is now: {}", problem), true});
  }
  out.hosts_folders = read.folders();
  if (out.hosts_folders.empty() && !read.config_path && version_of(out.runtime) >= kDefaultsSince) {
    out.hosts_folders = {std::string(kDefaultHostsFolder)};
  }
  if (out.hosts_folders.empty()) {
    find_missing_config_path(root, read, config, out);
  } else if (!read.mirrors.empty()) {
    out.findings.push_back({"RegistryMirrorsInUse",
                            fmt::format("{} sets config_path and registry.mirrors, which stops containerd's CRI plugin at its "
                                        "next start: remove registry.mirrors",
                                        file),
                            false});
  }
}

}  // namespace

bool Detection::blocked() const {
  return std::ranges::any_of(findings, [](const Finding& finding) { return finding.blocks; });
}

bool Detection::may_be_strict(const std::string& registry) const {
  return std::ranges::find(sandbox_registries, registry) == sandbox_registries.end();
}

std::string Detection::summary() const {
  std::string text;
  for (const bool blocking : {true, false}) {
    for (const auto& finding : findings) {
      if (finding.blocks == blocking) text += (text.empty() ? "" : "; ") + finding.message;
    }
  }
  return text;
}

Detection detect(const fs::path& root, const HostFacts& facts, const Config& config, const std::string& containerd_config) {
  Detection out;
  if (!facts.runtime.empty()) out.runtime = facts.runtime;
  if (auto foreign = foreign_layout(facts, config)) {
    out.findings.push_back(std::move(*foreign));
    return out;
  }
  std::error_code error;
  const bool unknown = facts.runtime.empty();
  // Without a word from kubelet: whose files are there.
  out.containerd = facts.runtime.starts_with("containerd://") || (unknown && fs::exists(root / "etc/containerd", error));
  out.crio = facts.runtime.starts_with("cri-o://") || (unknown && fs::exists(root / "etc/crio", error));
  if (!out.containerd && !out.crio) {
    out.findings.push_back(
        {"UnknownRuntime",
         fmt::format("this node's runtime is {}; containerd and CRI-O can be configured. Point it at {} by its own settings, or leave "
                     "the node out by the policy's nodeSelector",
                     out.runtime, config.mirror),
         true});
    return out;
  }
  const auto allowed = [&](const char* name) { return std::ranges::find(config.runtimes, name) != config.runtimes.end(); };
  for (auto [present, name] : {std::pair{&out.containerd, "containerd"}, std::pair{&out.crio, "crio"}}) {
    if (!*present || allowed(name)) continue;
    *present = false;
    out.findings.push_back(
        {"RuntimeNotSelected", fmt::format("this node runs {}, which the policy's nodeConfig.runtimes leaves out", name), true});
  }
  if (out.containerd) {
    detect_containerd(root, config, containerd_config, out);
    out.sandbox_registries.push_back(render::registry_of_image(runtime_files::containerd_sandbox_image(root, containerd_config)));
  }
  if (out.crio) out.sandbox_registries.push_back(render::registry_of_image(runtime_files::crio_pause_image(root)));
  return out;
}

}  // namespace cistern::node
