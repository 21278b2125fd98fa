#include "operator/kube/resource.hpp"

#include <fmt/format.h>

namespace cistern::kube {
namespace {

// object[FIELD] as text; empty if it is not there.
std::string text_at(const Json& object, std::string_view field) {
  if (!object.is_object()) return {};
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json& child(const Json& object, std::string_view field) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(field);
  return found != object.end() ? *found : kNothing;
}

}  // namespace

std::string Resource::api_version() const { return group.empty() ? std::string(version) : fmt::format("{}/{}", group, version); }

std::string ObjectKey::to_string() const { return ns.empty() ? name : ns + "/" + name; }

ObjectKey key_of(const Json& object) { return {metadata(object, "namespace"), metadata(object, "name")}; }

std::string metadata(const Json& object, std::string_view field) { return text_at(child(object, "metadata"), field); }

std::string label(const Json& object, std::string_view key) { return text_at(child(child(object, "metadata"), "labels"), key); }

std::string annotation(const Json& object, std::string_view key) { return text_at(child(child(object, "metadata"), "annotations"), key); }

}  // namespace cistern::kube
