#include "operator/rewrite/reference.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/text.hpp"
#include "operator/render/runtime.hpp"

namespace cistern::rewrite {
namespace {

using std::string_view;

// Where the tag or the digest begins: at '@', or at a ':' behind the last '/'.
std::size_t name_end(string_view reference) {
  const auto end = std::min(reference.find('@'), reference.size());
  const auto slash = reference.substr(0, end).rfind('/');
  return std::min(reference.substr(0, end).find(':', slash == string_view::npos ? 0 : slash), end);
}

// Without `${…}` and `{{…}}`, in which anything may be.
std::string without_variables(string_view text) {
  std::string rest(text);
  RE2::GlobalReplace(&rest, R"(\$\{[^}]*\}|\{\{.*?\}\})", "");
  return rest;
}

// The name's size. Variables may be in the tag only.
tl::expected<std::size_t, std::string> name_size(string_view reference) {
  static const RE2 kTag(R"((:\w[\w.-]{0,127})?(@[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,})?)");
  const auto variable = std::min(reference.find('$'), reference.find("{{"));
  const auto size = name_end(reference.substr(0, variable));
  if (variable == string_view::npos) {
    const auto tag = reference.substr(size);
    if (RE2::FullMatch(re2::StringPiece(tag.data(), tag.size()), kTag)) return size;
    return tl::unexpected(std::string("is not an image reference"));
  }
  const bool in_tag = size < variable && without_variables(reference.substr(variable)).find('/') == std::string::npos;
  if (in_tag) return size;
  return tl::unexpected(std::string("its name holds a variable"));
}

struct Name {
  std::string registry;
  std::string path;
};

bool is_path(const std::string& path) {
  static const RE2 kPath(R"([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*)");
  return RE2::FullMatch(path, kPath);
}

// As Docker completes a short name.
tl::expected<Name, std::string> completed(string_view text) {
  static const RE2 kRegistry(
      R"(([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(:[0-9]+)?)");
  Name name{"docker.io", std::string(text)};
  const auto slash = text.find('/');
  const auto first = text.substr(0, slash);
  const bool host =
      slash != string_view::npos && (first.find_first_of(".:") != string_view::npos || first == "localhost" || lower_case(first) != first);
  if (host) name = {lower_case(first), std::string(text.substr(slash + 1))};
  if (name.registry == "index.docker.io") name.registry = "docker.io";
  if (!RE2::FullMatch(name.registry, kRegistry) || !is_path(name.path)) {
    // What a mirror's name may be followed by is a registry's name, which is a path as well.
    return tl::unexpected(std::string("is not an image reference"));
  }
  if (name.registry == "docker.io" && name.path.find('/') == std::string::npos) name.path = "library/" + name.path;
  return name;
}

}  // namespace

tl::expected<std::optional<Renaming>, std::string> rename_reference(string_view reference, const Mirror& mirror, Direction direction) {
  const auto size = name_size(reference);
  if (!size) return tl::unexpected(size.error());
  const auto name = completed(reference.substr(0, *size));
  if (!name) return tl::unexpected(name.error());
  if (direction == Direction::kBack) {
    const auto slash = name->path.find('/');
    if (name->registry != lower_case(mirror.address) || slash == std::string::npos) return std::nullopt;
    const auto element = name->path.substr(0, slash);
    const auto ours =
        std::ranges::find_if(mirror.registries, [&](const auto& known) { return render::registry_in_path(known) == element; });
    if (ours == mirror.registries.end()) return std::nullopt;
    return Renaming{*size, *ours + name->path.substr(slash)};
  }
  if (name->registry == lower_case(mirror.address) || !mirror.registries.contains(name->registry)) return std::nullopt;
  const auto element = render::registry_in_path(name->registry);
  if (!is_path(element)) {
    return tl::unexpected(fmt::format("the registry {} has a name that can not stand in the path of a reference", name->registry));
  }
  return Renaming{*size, fmt::format("{}/{}/{}", mirror.address, element, name->path)};
}

}  // namespace cistern::rewrite
