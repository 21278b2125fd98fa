// The image of the container that holds a pod's namespaces ("pause"): the runtime pulls it before anything else can run on the node.
#pragma once

#include <filesystem>
#include <string>

namespace cistern::runtime_files {

// As containerd's config.toml says, with its imports, the last file counting; containerd's own default where it says nothing.
// Blocks on the disk.
std::string containerd_sandbox_image(const std::filesystem::path& root, const std::filesystem::path& file);

// As /etc/crio/crio.conf and crio.conf.d say, likewise.
std::string crio_pause_image(const std::filesystem::path& root);

}  // namespace cistern::runtime_files
