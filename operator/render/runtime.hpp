// Configuration of container runtimes, so that they ask the agent first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/model/policy.hpp"

namespace cistern::render {

// First line of every file that is ours.
inline constexpr std::string_view kMark = "# managed by cistern";

// containerd's certs.d/<registry>/hosts.toml. `mirror` is the agent's URL. Where the registry may be asked when the agent is down, it
// stays containerd's last host because `server` is left out (docker.io then means registry-1.docker.io, as containerd knows by itself);
// else the agent is the only server.
std::string hosts_toml(const model::Registry& registry, const std::string& mirror);

// A registry's name as the first element of a path at the agent: registry.example:5000 is registry.example_5000 there, since a ':' has no
// place in the path of an image reference.
std::string registry_in_path(std::string_view registry);

// A drop-in for registries.conf.d (CRI-O, podman, skopeo). `listen` is the agent's HOST:PORT. They do not say which registry they mean
// (containerd adds ?ns=), so that its name begins the path.
std::string registries_conf(const std::vector<model::Registry>& registries, const std::string& listen);

}  // namespace cistern::render
