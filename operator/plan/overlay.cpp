#include "operator/plan/overlay.hpp"

#include <algorithm>

#include "operator/model/validate.hpp"

namespace cistern::plan {

using yaml::Node;

model::Effective with_overlays(const model::Policy& policy, const std::string& region, const std::string& profile,
                               yaml::Problems& problems) {
  auto effective = model::effective(policy, region, profile, problems);
  model::validate(effective.settings, effective.written, "", problems);
  return effective;
}

const Node* find_field(const Node& node, std::string_view path) {
  const Node* at = &node;
  while (at != nullptr && !path.empty()) {
    const auto dot = std::min(path.find('.'), path.size());
    at = at->find(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at;
}

void Noticer::add(const Node& node, const std::string& path, const std::string& reason) {
  const bool known =
      std::any_of(notices_.begin(), notices_.end(), [&](const Notice& notice) { return notice.path == path && notice.reason == reason; });
  if (!known) notices_.push_back({node.position, path, reason, scope_});
}

void Noticer::field(const Node& node, const std::string& path, const std::string& field, const std::string& reason) {
  if (const Node* written = find_field(node, field)) add(*written, path + "." + field, reason);
}

void Noticer::serves_nothing(const model::Policy& policy) {
  add(policy.source, "spec", "it names no upstream, neither for Go nor for images, so that nothing is served");
}

void Noticer::view(const model::Policy& policy, const std::string& profile, const model::Go& base, const model::Go& seen,
                   std::vector<View>& views) {
  if (base.upstreams.empty() || seen.upstreams.empty()) {
    add(policy.spec.profiles.at(profile), yaml::join_path("spec.profiles", profile),
        "there is no view for it, as spec.go names no upstream");
  } else {
    views.push_back({profile, seen});
  }
}

}  // namespace cistern::plan
