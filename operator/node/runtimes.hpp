// What runs containers on this node, and whether it can be told to ask the agent. Reads the host's files; nothing is run for it: which
// runtime and which version is in the Node's status, where kubelet has asked the runtime itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/node/config.hpp"
#include "operator/node/file_system.hpp"

namespace cistern::node {

// status.nodeInfo of the Node; empty where it is not known.
struct HostFacts {
  std::string runtime;   // containerRuntimeVersion: "containerd://1.7.2", "cri-o://1.30.1"
  std::string os_image;  // osImage: "Talos (v1.8.0)"
  std::string kubelet;   // kubeletVersion: "v1.30.4+k3s1"
  bool operator==(const HostFacts&) const = default;
};

// Something that a person should know or do.
struct Finding {
  std::string reason;   // one word: "ConfigPathMissing"
  std::string message;  // what it means and what to set
  bool blocks = false;  // while it is so, this node can not be configured
};

struct Detection {
  std::string runtime = "unknown";  // as HostFacts'
  bool containerd = false;
  std::vector<std::string> hosts_folders;  // of containerd, as it looks through them: its config_path
  std::optional<std::string> config_edit;  // containerd's config.toml with config_path set, where that is asked for and safe
  std::string config_file;                 // containerd's
  bool crio = false;
  // Whence the runtime gets the image that every pod begins with; after a reboot it is pulled before the agent can run.
  std::vector<std::string> sandbox_registries;
  std::vector<Finding> findings;

  bool blocked() const;
  // Whether a registry that shall be strict can be: not the sandbox image's.
  bool may_be_strict(const std::string& registry) const;
  // Sentences, the blocking ones first.
  std::string summary() const;
};

// `containerd_config`: its file, as it sees it itself.
Detection detect(const fs::path& root, const HostFacts& facts, const Config& config, const std::string& containerd_config);

}  // namespace cistern::node
