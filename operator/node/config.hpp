// What the operator tells the nodes of a group: the key node.json of the ConfigMap cistern-node-<group>. Pure.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace cistern::node {

inline constexpr std::string_view kConfigKey = "node.json";
inline constexpr std::string_view kConfigMapPrefix = "cistern-node-";         // + the group's name
inline constexpr std::string_view kUninstallConfigMap = "cistern-uninstall";  // while it is there, nodes restore and change nothing else

// A node's Lease, by which it and the operator's leader speak with each other.
std::string lease_name(const std::string& node);                                    // "cistern-node-<node>"
inline constexpr std::string_view kGrantedAnnotation = "cistern.dev/granted-hash";  // written by the leader, and by nobody else
// Granted to a node that shall let go while its agent still runs, before the label of its group is taken away.
inline constexpr std::string_view kLetGo = "none";
inline constexpr std::chrono::seconds kLeaseDuration{300};  // not renewed for so long: the node is away

enum class Mode { kApply, kReport, kOff };

struct RegistryConfig {
  std::string name;     // as in an image reference
  bool strict = false;  // the runtime asks nobody but the agent
  bool operator==(const RegistryConfig&) const = default;
};

struct Config {
  std::string group;
  std::string policy;
  Mode mode = Mode::kApply;
  std::vector<std::string> runtimes;  // of "containerd" and "crio": those that may be configured
  std::string mirror;                 // "http://127.0.0.1:5050"
  std::string listen;                 // "127.0.0.1:5050", the same for runtimes that take no URL
  std::vector<RegistryConfig> registries;
  std::string storage_path;  // the agent's cache folder on the node
  bool keep_storage = false;
  // Whether containerd's own config.toml may get a missing config_path, and containerd be restarted for it.
  bool configure_containerd = false;
  std::string hash;  // of all that is before

  bool operator==(const Config&) const = default;
};

// Canonical JSON: the same configuration is the same text. Sets `hash`.
nlohmann::json to_json(const Config& config);
std::string to_text(const Config& config);
// Of everything but the hash itself: 16 hex digits.
std::string hash_of(const Config& config);

// Strict: unknown, missing or malformed fields and a hash that is not the content's are kInvalid, naming the field. What it lets through
// may be written into TOML files and file names as it is.
Result<Config> parse_config(std::string_view text);

std::string_view to_string(Mode mode);

}  // namespace cistern::node
