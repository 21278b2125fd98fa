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

// `start_hash`: see kStartAnnotation.
nlohmann::json daemon_set(const plan::Group& group, const Owner& owner, const Installation& installation, const std::string& start_hash);

}  // namespace cistern::render
