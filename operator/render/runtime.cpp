#include "operator/render/runtime.hpp"

#include <fmt/format.h>

namespace cistern::render {

// Names and URLs have been checked to hold no quote, backslash or control character, so that they are TOML strings as they are.

std::string hosts_toml(const model::Registry& registry, const std::string& mirror) {
  if (!registry.fallback_to_source) {
    // Before 2.0 containerd drops a file without a host (hosts.go, getSortedHosts) and would go to the registry itself.
    return fmt::format(
        "{0}\nserver = \"{1}\"\ncapabilities = [\"pull\", \"resolve\"]\n\n[host.\"{1}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
        kMark, mirror);
  }
  return fmt::format("{}\n[host.\"{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n", kMark, mirror);
}

std::string registry_in_path(std::string_view registry) {
  std::string name(registry);
  if (const auto port = name.rfind(':'); port != std::string::npos) name[port] = '_';
  return name;
}

std::string registries_conf(const std::vector<model::Registry>& registries, const std::string& listen) {
  std::string text = fmt::format("{}\n", kMark);
  for (const auto& registry : registries) {
    const std::string mirror = fmt::format("{}/{}", listen, registry_in_path(registry.name));
    if (registry.fallback_to_source) {
      text +=
          fmt::format("\n[[registry]]\nprefix = \"{0}\"\nlocation = \"{0}\"\n\n[[registry.mirror]]\nlocation = \"{1}\"\ninsecure = true\n",
                      registry.name, mirror);
    } else {
      text += fmt::format("\n[[registry]]\nprefix = \"{}\"\nlocation = \"{}\"\ninsecure = true\n", registry.name, mirror);
    }
  }
  return text;
}

}  // namespace cistern::render
