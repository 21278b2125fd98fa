// link: cistern_oci
// Paths and queries under /v2/, Accept and Link headers: what is accepted follows the specification's grammar, and links lead back to it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cache-agent/ecosystem/oci/accept.hpp"
#include "cache-agent/ecosystem/oci/manifest.hpp"
#include "cache-agent/ecosystem/oci/paging.hpp"
#include "cache-agent/ecosystem/oci/reference.hpp"
#include "cache-agent/ecosystem/oci/request.hpp"

namespace {

using cistern::oci::Kind;

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<cistern::config::Registry> registries() {
  std::vector<cistern::config::Registry> result(3);
  result[0].name = "docker.io";
  result[1].name = "quay.io";
  result[2].name = "localhost:5000";
  return result;
}

void check(const cistern::oci::Request& request, std::string_view text) {
  if (request.kind == Kind::kBase || request.kind == Kind::kOther) return;
  static const auto kRegistries = registries();
  require(request.registry < kRegistries.size() && cistern::oci::is_repository(request.repository));
  require(request.kind != Kind::kManifestByTag || cistern::oci::is_tag(request.tag));
  const auto target = "/v2/" + kRegistries[request.registry].name + "/" + request.repository + request.suffix();
  const auto again = cistern::oci::parse(target, "", kRegistries);
  require(again.has_value() && again->repository == request.repository && again->registry == request.registry);
  if (const auto link = cistern::oci::rewrite_link(text, request)) {
    require(link->starts_with("</v2/") && std::all_of(link->begin(), link->end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kRegistries = registries();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto mark = std::min(text.find('?'), text.size());
  const auto query = text.substr(std::min(mark + 1, text.size()));
  if (const auto request = cistern::oci::parse(text.substr(0, mark), query, kRegistries)) check(*request, text);

  cistern::http::Headers headers;
  headers.add("Accept", text);
  const auto set = cistern::oci::accepted_types(headers);
  cistern::http::Headers canonical;
  canonical.add("Accept", set.header);
  require(cistern::oci::accepted_types(canonical).key == set.key && set.key.size() <= 256);
  cistern::oci::manifest_media_type("", text);
  if (const auto descriptor = cistern::oci::descriptor_from_json(text)) {
    require(cistern::oci::descriptor_from_json(cistern::oci::to_json(*descriptor)).value() == *descriptor);
  }
  return 0;
}
