#include "operator/model/merge.hpp"

#include <algorithm>

#include "operator/model/describe.hpp"

namespace cistern::model {
namespace {

using yaml::Node;

void merge_into(Node& base, const Node& overlay, const std::string& path);

// Registries by name; those that are new come last.
void merge_registries(Node& base, const Node& overlay, const std::string& path) {
  const auto name_of = [](const Node& registry) {
    const Node* name = registry.find("name");
    return name != nullptr ? name->scalar : Json();
  };
  for (const auto& registry : overlay.children) {
    const auto same =
        std::find_if(base.children.begin(), base.children.end(), [&](const Node& known) { return name_of(known) == name_of(registry); });
    if (same == base.children.end()) {
      base.children.push_back(registry);
    } else {
      merge_into(*same, registry, path + "[]");
    }
  }
}

void merge_into(Node& base, const Node& overlay, const std::string& path) {
  if (path == "images.registries" && base.kind == Node::Kind::kList && overlay.kind == Node::Kind::kList && !overlay.children.empty()) {
    merge_registries(base, overlay, path);
    return;
  }
  if (base.kind != Node::Kind::kMap || overlay.kind != Node::Kind::kMap) {
    base = overlay;
    return;
  }
  for (const auto& member : overlay.children) {
    if (Node* same = base.find(member.key)) {
      merge_into(*same, member, yaml::join_path(path, member.key));
    } else {
      base.children.push_back(member);
    }
  }
}

}  // namespace

Node merge(Node spec, const Node& overlay) {
  for (const auto& member : overlay.children) {
    if (Node* same = spec.find(member.key)) {
      merge_into(*same, member, member.key);
    } else {
      spec.children.push_back(member);
    }
  }
  return spec;
}

Effective effective(const Policy& policy, const std::string& region, const std::string& profile, yaml::Problems& problems) {
  Effective result{policy.source, {}};
  if (const auto found = policy.spec.regions.find(region); found != policy.spec.regions.end()) {
    result.written = merge(std::move(result.written), found->second);
  }
  if (const auto found = policy.spec.profiles.find(profile); found != policy.spec.profiles.end()) {
    result.written = merge(std::move(result.written), found->second);
  }
  Spec spec;
  yaml::read(result.written, "spec", problems, spec);
  result.settings = std::move(spec.settings);
  return result;
}

}  // namespace cistern::model
