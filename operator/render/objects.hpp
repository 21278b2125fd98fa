// What the objects of a policy and of a group have in common, and the largest of them. Used by manifests.cpp only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "operator/render/manifests.hpp"

namespace cistern::render {

using Labels = std::map<std::string, std::string>;

// Of a policy's objects; with a group's name of that group's.
Labels object_labels(const std::string& policy, const std::string& group = "");

// apiVersion, kind and metadata.
nlohmann::json make_object(const char* api_version, const char* kind, const std::string& name, const Labels& labels, const Owner& owner,
                           const Installation& installation);

// Where things are in an agent's container.
inline constexpr const char* kConfigFolder = "/etc/cistern";
inline constexpr const char* kCacheFolder = "/var/lib/cistern/cache";
inline constexpr const char* kAgentFileName = "agent.yaml";

// The agent's cache on its node. It is the policy's: it stays in use when a node goes to another of its groups, and no other policy's agent
// finds it.
std::string host_folder(const plan::Group& group);

// `start_hash`: see kStartAnnotation.
nlohmann::json daemon_set(const plan::Group& group, const Owner& owner, const Installation& installation, const std::string& start_hash);

}  // namespace cistern::render
