// What this machine uses now.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cistern::init {

// A registry that a container runtime is set up for.
struct RegistryFact {
  std::string name;                    // as in an image reference
  std::vector<std::string> endpoints;  // URLs in the order in which they are asked
  bool insecure = false;               // certificates are not checked
  std::string source;                  // the file that says so
  bool operator==(const RegistryFact&) const = default;
};

struct Facts {
  std::map<std::string, std::string> go;  // GOPROXY, GOSUMDB, GOPRIVATE, GONOSUMDB, GONOPROXY; empty: nothing is known
  std::string go_source;                  // "go env", "the environment"
  std::vector<RegistryFact> registries;   // empty: no runtime says
};

// From `go env`, else from the environment. Runs the go command, if there is one.
void gather_go(Facts& facts);

// From containerd's certs.d and config.toml and from registries.conf and registries.conf.d below `root` ("/"). Files that Cistern wrote
// are passed over; the first that names a registry counts.
std::vector<RegistryFact> gather_registries(const std::filesystem::path& root);

// Where a registry is asked if nothing else is set up: https and its name, and registry-1.docker.io for docker.io.
std::string home_of(const std::string& registry);

}  // namespace cistern::init
