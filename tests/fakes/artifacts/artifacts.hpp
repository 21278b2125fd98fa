// Go modules and container images for tests, and how a scripted upstream offers them. Pure, but for publish() and the zip's scratch file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::fakes {

// Bytes that do not compress, the same for the same seed.
std::string noise(std::size_t size, std::uint64_t seed = 1);

using NamedFiles = std::vector<std::pair<std::string, std::string>>;  // name in the archive, content
// Uncompressed, entries in that order.
std::string make_zip(const NamedFiles& files);
// golang.org/x/mod/sumdb/dirhash.Hash1 over files in that form.
std::string dirhash(NamedFiles files);

struct GoModule {
  std::string path;
  std::string version;
  std::string info;
  std::string mod;
  std::string zip;
  std::string zip_h1 = {};  // as the checksum database has them: "h1:…"
  std::string mod_h1 = {};
  // The path of a request below a GOPROXY: "/example.com/!a/@v/v1.0.0.zip".
  std::string target(std::string_view suffix) const;
};

// A module of one source file; with `padding`, of a second one of that many bytes.
GoModule make_module(const std::string& path, const std::string& version, std::size_t padding = 0);
// '!' and lower case for upper case.
std::string escape_module(std::string_view text);
// .info, .mod and .zip at their paths; the list is the test's.
void publish(ScriptedUpstream& upstream, const GoModule& module);

inline constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr const char* kIndexType = "application/vnd.oci.image.index.v1+json";
inline constexpr const char* kDockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr const char* kDockerListType = "application/vnd.docker.distribution.manifest.list.v2+json";

struct Blob {
  std::string bytes;
  std::string digest;  // "sha256:…"
  explicit Blob(std::string content = {});
};

struct Image {
  Blob config;
  std::vector<Blob> layers;
  Blob manifest;
  std::string type = kManifestType;
};

// Layers of noise: for those who do not unpack.
Image make_image(const std::vector<std::size_t>& layer_sizes, std::uint64_t seed = 1, const std::string& type = kManifestType);
// Layers as they are given (tar archives), for real clients.
Image make_image_of(const std::vector<Blob>& layers, const std::vector<std::string>& diff_ids, const std::string& architecture);
// A tar archive with one file, padded as the format wants it.
std::string make_tar(const std::string& name, std::string_view content);
Blob make_index(const std::vector<std::pair<std::string, Image>>& by_architecture, const std::string& type = kIndexType);

// The paths of a registry.
std::string manifest_target(std::string_view repository, std::string_view reference);
std::string blob_target(std::string_view repository, const std::string& digest);
// What a registry answers for a manifest or an index.
Reply manifest_reply(const Blob& manifest, const std::string& type);
Reply blob_reply(const Blob& blob);
// Every part of the image in that repository, its manifest by digest and by tag.
void publish(ScriptedUpstream& upstream, const std::string& repository, const std::string& tag, const Image& image);

}  // namespace cistern::fakes
