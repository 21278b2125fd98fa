// What the nodes of a group are told (operator/node/config.hpp). Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "operator/node/config.hpp"
#include "operator/plan/cluster.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::render {

// `always_fallback`: registries that may be asked when the agent is down whatever the policy says, because what starts before the agent
// comes from them (the sandbox image, our own images, system-critical pods). `configure_containerd`: see node::Config.
node::Config node_config(const plan::Group& group, const std::set<std::string>& always_fallback, bool configure_containerd = false);

// The ConfigMap that the group's nodes read.
nlohmann::json node_config_map(const node::Config& config, const Owner& owner, const Installation& installation);

// Whence an image comes, as an image reference has it: "docker.io" where it names none.
std::string registry_of_image(std::string_view image);

// Registries that the policy wants strict and that are in `always_fallback`, for its status; in the policy's order.
std::vector<std::string> kept_in_fallback(const plan::Group& group, const std::set<std::string>& always_fallback);

}  // namespace cistern::render
