// Manifests and what tags point to. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/units.hpp"

namespace cistern::oci {

// A larger manifest is refused, as registries do.
constexpr Bytes kMaxManifest = mib(4);
// Of an answer to tags/list or referrers.
constexpr Bytes kMaxPage = mib(16);

// What a tag's entry holds.
struct Descriptor {
  Digest digest;
  std::string media_type;
  std::uint64_t size = 0;
  bool operator==(const Descriptor&) const = default;
};
std::string to_json(const Descriptor& descriptor);
// kCorrupt unless it is what to_json() writes.
Result<Descriptor> descriptor_from_json(std::string_view text);

// The media type to keep for a manifest: the upstream's Content-Type as sent, or, where that says nothing (absent, text/plain,
// octet-stream, plain JSON), the body's own mediaType, or what its fields make it. "application/json" where nothing tells.
std::string manifest_media_type(std::string_view content_type, std::string_view body);

}  // namespace cistern::oci
