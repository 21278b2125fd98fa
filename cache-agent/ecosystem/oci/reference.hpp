// Names of registries, repositories and tags. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace cistern::oci {

// Lower case; docker.io for its aliases index.docker.io and registry-1.docker.io; a port behind '_' is one behind ':', which has no place
// in the path of an image reference: registry.example_5000 is registry.example:5000. No host's name has a '_'.
std::string canonical_registry(std::string_view name);

// The distribution specification's <name>: lower-case components with single separators; at most 255 bytes.
bool is_repository(std::string_view name);
// [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
bool is_tag(std::string_view tag);
// Whether the first element of a path is a registry's host rather than part of a repository's name, as image references decide it.
bool looks_like_registry(std::string_view element);

}  // namespace cistern::oci
