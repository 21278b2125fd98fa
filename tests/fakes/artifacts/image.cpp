#include <algorithm>
#include <array>
#include <cstdio>

#include "base/digest.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"

namespace cistern::fakes {
namespace {

constexpr const char* kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr const char* kLayerType = "application/vnd.oci.image.layer.v1.tar";

std::string descriptor(const std::string& type, const Blob& blob, const std::string& more = {}) {
  return "{\"mediaType\":\"" + type + "\",\"digest\":\"" + blob.digest + "\",\"size\":" + std::to_string(blob.bytes.size()) + more + "}";
}

void seal(Image& image) {
  const bool docker = image.type == kDockerManifestType;
  std::string document = "{\"schemaVersion\":2,\"mediaType\":\"" + image.type + "\",\"config\":" +
                         descriptor(docker ? "application/vnd.docker.container.image.v1+json" : kConfigType, image.config) +
                         ",\"layers\":[";
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    document += (i > 0 ? "," : "") + descriptor(docker ? "application/vnd.docker.image.rootfs.diff.tar" : kLayerType, image.layers[i]);
  }
  image.manifest = Blob(document + "]}");
}

}  // namespace

Blob::Blob(std::string content) : bytes(std::move(content)), digest(Sha256::of(bytes).oci()) {}

Image make_image(const std::vector<std::size_t>& layer_sizes, std::uint64_t seed, const std::string& type) {
  Image image;
  image.type = type;
  for (const auto size : layer_sizes) image.layers.emplace_back(noise(size, seed * 1000 + image.layers.size()));
  image.config = Blob(R"({"architecture":"amd64","os":"linux","config":{"Labels":{"seed":")" + std::to_string(seed) + "\"}}}");
  seal(image);
  return image;
}

Image make_image_of(const std::vector<Blob>& layers, const std::vector<std::string>& diff_ids, const std::string& architecture) {
  Image image;
  image.layers = layers;
  std::string list;
  for (const auto& id : diff_ids) list += (list.empty() ? "\"" : ",\"") + id + "\"";
  image.config =
      Blob("{\"architecture\":\"" + architecture + R"(","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[)" + list + "]}}");
  seal(image);
  return image;
}

std::string make_tar(const std::string& name, std::string_view content) {
  std::array<char, 512> header{};
  std::snprintf(header.data(), 100, "%s", name.c_str());
  std::snprintf(header.data() + 100, 8, "0000644");
  std::snprintf(header.data() + 108, 8, "0000000");
  std::snprintf(header.data() + 116, 8, "0000000");
  std::snprintf(header.data() + 124, 12, "%011zo", content.size());
  std::snprintf(header.data() + 136, 12, "00000000000");
  std::fill_n(header.data() + 148, 8, ' ');
  header[156] = '0';
  std::copy_n("ustar\00000", 8, header.data() + 257);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  std::snprintf(header.data() + 148, 7, "%06o", sum);
  std::string archive(header.begin(), header.end());
  archive += content;
  archive.resize((archive.size() + 511) / 512 * 512 + 1024, '\0');
  return archive;
}

Blob make_index(const std::vector<std::pair<std::string, Image>>& by_architecture, const std::string& type) {
  std::string document = "{\"schemaVersion\":2,\"mediaType\":\"" + type + "\",\"manifests\":[";
  for (std::size_t i = 0; i < by_architecture.size(); ++i) {
    const auto& [architecture, image] = by_architecture[i];
    document += (i > 0 ? "," : "") +
                descriptor(image.type, image.manifest, ",\"platform\":{\"architecture\":\"" + architecture + "\",\"os\":\"linux\"}");
  }
  return Blob(document + "]}");
}

std::string manifest_target(std::string_view repository, std::string_view reference) {
  return "/v2/" + std::string(repository) + "/manifests/" + std::string(reference);
}

std::string blob_target(std::string_view repository, const std::string& digest) {
  return "/v2/" + std::string(repository) + "/blobs/" + digest;
}

Reply manifest_reply(const Blob& manifest, const std::string& type) {
  return Reply{
      .headers = {{"Content-Type", type}, {"Docker-Content-Digest", manifest.digest}, {"Docker-Distribution-API-Version", "registry/2.0"}},
      .body = manifest.bytes};
}

Reply blob_reply(const Blob& blob) {
  return Reply{.headers = {{"Content-Type", "application/octet-stream"}, {"Docker-Content-Digest", blob.digest}}, .body = blob.bytes};
}

void publish(ScriptedUpstream& upstream, const std::string& repository, const std::string& tag, const Image& image) {
  upstream.on(manifest_target(repository, tag), manifest_reply(image.manifest, image.type));
  upstream.on(manifest_target(repository, image.manifest.digest), manifest_reply(image.manifest, image.type));
  upstream.on(blob_target(repository, image.config.digest), blob_reply(image.config));
  for (const auto& layer : image.layers) upstream.on(blob_target(repository, layer.digest), blob_reply(layer));
}

}  // namespace cistern::fakes
