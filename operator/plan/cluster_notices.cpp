#include "operator/plan/cluster_notices.hpp"

#include "operator/plan/overlay.hpp"

namespace cistern::plan {
namespace {

using yaml::Node;

// Of `spec`, or of an overlay at `path`.
class Fields {
 public:
  Fields(const Node& spec, std::string path, Noticer& noticer) : spec_(spec), path_(std::move(path)), noticer_(noticer) {}

  void agents() {
    for (const auto* list : {"prefetch.goModules", "prefetch.images"}) {
      const Node* written = find_field(spec_, list);
      if (written != nullptr && !written->children.empty())
        noticer_.add(*written, path_ + "." + list, "nothing is fetched ahead of its use");
    }
    if (const Node* replicas = find_field(spec_, "peers.replicas"); replicas != nullptr && replicas->scalar > 1) {
      noticer_.add(*replicas, path_ + ".peers.replicas", "each object has one owner among the agents");
    }
    noticer_.rollouts(spec_, path_);
  }

 private:
  const Node& spec_;
  std::string path_;
  Noticer& noticer_;
};

bool names_upstreams(const model::Policy& policy) {
  const auto overlays_do = [](const std::map<std::string, Node>& overlays) {
    return std::any_of(overlays.begin(), overlays.end(), [](const auto& overlay) {
      return find_field(overlay.second, "go.upstreams") != nullptr || find_field(overlay.second, "images.registries") != nullptr;
    });
  };
  const auto& settings = policy.spec.settings;
  return !settings.go.upstreams.empty() || !settings.registries.empty() || overlays_do(policy.spec.regions) ||
         overlays_do(policy.spec.profiles);
}

}  // namespace

void notice_cluster_fields(const model::Policy& policy, Noticer& noticer) {
  const auto look_at = [&](const Node& spec, const std::string& path) {
    Fields fields(spec, path, noticer);
    fields.agents();
  };
  look_at(policy.source, "spec");
  for (const auto& [name, overlay] : policy.spec.regions) look_at(overlay, yaml::join_path("spec.regions", name));
  for (const auto& [name, overlay] : policy.spec.profiles) look_at(overlay, yaml::join_path("spec.profiles", name));
  if (!names_upstreams(policy)) noticer.serves_nothing(policy);
}

}  // namespace cistern::plan
