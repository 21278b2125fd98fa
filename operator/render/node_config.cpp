#include "operator/render/node_config.hpp"

#include "operator/render/objects.hpp"

namespace cistern::render {

node::Config node_config(const plan::Group& group, const std::set<std::string>& always_fallback, bool configure_containerd) {
  const auto& settings = group.effective.settings;
  node::Config config;
  config.group = group.name;
  config.policy = group.policy;
  switch (settings.node_config.mode) {
    case model::NodeConfigMode::kApply: config.mode = node::Mode::kApply; break;
    case model::NodeConfigMode::kReport: config.mode = node::Mode::kReport; break;
    case model::NodeConfigMode::kOff: config.mode = node::Mode::kOff; break;
  }
  for (const auto runtime : settings.node_config.runtimes) {
    config.runtimes.emplace_back(runtime == model::Runtime::kContainerd ? "containerd" : "crio");
  }
  config.listen = fmt::format("127.0.0.1:{}", kRuntimePort);
  config.mirror = "http://" + config.listen;
  for (const auto& registry : settings.registries) {
    config.registries.push_back({registry.name, !registry.fallback_to_source && !always_fallback.contains(registry.name)});
  }
  config.storage_path = host_folder(group);
  config.keep_storage = settings.storage.on_delete == model::OnDelete::kKeep;
  config.configure_containerd = configure_containerd;
  config.hash = node::hash_of(config);
  return config;
}

nlohmann::json node_config_map(const node::Config& config, const Owner& owner, const Installation& installation) {
  auto object = make_object("v1", "ConfigMap", std::string(node::kConfigMapPrefix) + config.group,
                            object_labels(config.policy, config.group), owner, installation);
  object["data"][std::string(node::kConfigKey)] = node::to_text(config);
  return object;
}

// Source of the rule: distribution's reference grammar, as containerd and CRI-O read it.
std::string registry_of_image(std::string_view image) {
  const auto slash = image.find('/');
  const auto first = image.substr(0, slash == std::string_view::npos ? 0 : slash);
  const bool is_host = first.find_first_of(".:") != std::string_view::npos || first == "localhost";
  if (!is_host || first == "index.docker.io") return "docker.io";
  return std::string(first);
}

std::vector<std::string> kept_in_fallback(const plan::Group& group, const std::set<std::string>& always_fallback) {
  std::vector<std::string> names;
  for (const auto& registry : group.effective.settings.registries) {
    if (!registry.fallback_to_source && always_fallback.contains(registry.name)) names.push_back(registry.name);
  }
  return names;
}

}  // namespace cistern::render
