#include "cache-agent/ecosystem/oci/manifest.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace cistern::oci {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The type without parameters, in lower case.
std::string bare(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  std::transform(type.begin(), type.end(), type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  while (type.ends_with(' ')) type.pop_back();
  return type;
}

// A value that may stand in a header line.
bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::string to_json(const Descriptor& descriptor) {
  const json object = {{"digest", descriptor.digest.oci()}, {"mediaType", descriptor.media_type}, {"size", descriptor.size}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Descriptor> descriptor_from_json(std::string_view text) {
  const auto object = json::parse(text, nullptr, false);
  const auto broken = [] { return fail(ErrorCode::kCorrupt, "a tag's entry is not a descriptor"); };
  if (!object.is_object()) return broken();
  const auto size = object.find("size");
  if (size == object.end() || !size->is_number_unsigned()) return broken();
  const auto digest = Digest::from_oci(text_of(object, "digest"));
  if (!digest) return broken();
  return Descriptor{*digest, text_of(object, "mediaType"), size->get<std::uint64_t>()};
}

std::string manifest_media_type(std::string_view content_type, std::string_view body) {
  const auto type = bare(content_type);
  const bool says_nothing = type.empty() || type == "text/plain" || type == "application/octet-stream" || type == "application/json";
  if (!says_nothing) return std::string(content_type);
  const auto object = json::parse(body, nullptr, false);
  if (!object.is_object()) return "application/json";
  if (auto own = text_of(object, "mediaType"); !own.empty() && is_printable(own)) return own;
  if (object.contains("manifests")) return "application/vnd.oci.image.index.v1+json";
  if (object.contains("config") && object.contains("layers")) return "application/vnd.oci.image.manifest.v1+json";
  if (object.contains("fsLayers") && object.contains("signatures")) return "application/vnd.docker.distribution.manifest.v1+prettyjws";
  return "application/json";
}

}  // namespace cistern::oci
