#include "operator/plan/cluster_notices.hpp"

#include "operator/plan/overlay.hpp"

namespace cistern::plan {
namespace {

using yaml::Node;

bool is_text(const Node* node, std::string_view text) { return node != nullptr && node->scalar.is_string() && node->scalar == text; }

// Of `spec`, or of an overlay at `path`.
class Fields {
 public:
  Fields(const Node& spec, std::string path, Noticer& noticer) : spec_(spec), path_(std::move(path)), noticer_(noticer) {}

  void runtimes() {
    static constexpr const char* kReason = "no runtime is configured; name http://127.0.0.1:5050 as a mirror in certs.d yourself";
    if (const Node* config = spec_.find("nodeConfig"); config != nullptr && !is_text(config->find("mode"), "Off")) {
      // maxUnavailable is in force: agents are replaced by it.
      noticer_.field(*config, path_ + ".nodeConfig", "mode", kReason);
      noticer_.field(*config, path_ + ".nodeConfig", "runtimes", kReason);
    }
    const Node* registries = find_field(spec_, "images.registries");
    for (std::size_t i = 0; registries != nullptr && i < registries->children.size(); ++i) {
      const Node* fallback = registries->children[i].find("fallbackToSource");
      if (fallback == nullptr || fallback->scalar != false) continue;
      noticer_.add(*fallback, fmt::format("{}.images.registries[{}].fallbackToSource", path_, i), kReason);
    }
  }

  void agents() {
    for (const auto* list : {"prefetch.goModules", "prefetch.images"}) {
      const Node* written = find_field(spec_, list);
      if (written != nullptr && !written->children.empty())
        noticer_.add(*written, path_ + "." + list, "nothing is fetched ahead of its use");
    }
    if (const Node* replicas = find_field(spec_, "peers.replicas"); replicas != nullptr && replicas->scalar > 1) {
      noticer_.add(*replicas, path_ + ".peers.replicas", "each object has one owner among the agents");
    }
    if (const Node* on_delete = find_field(spec_, "storage.onDelete"); is_text(on_delete, "Delete")) {
      noticer_.add(*on_delete, path_ + ".storage.onDelete", "the cache folder stays on the nodes until you remove it");
    }
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
    fields.runtimes();
    fields.agents();
  };
  look_at(policy.source, "spec");
  for (const auto& [name, overlay] : policy.spec.regions) look_at(overlay, yaml::join_path("spec.regions", name));
  for (const auto& [name, overlay] : policy.spec.profiles) look_at(overlay, yaml::join_path("spec.profiles", name));
  if (!names_upstreams(policy)) noticer.serves_nothing(policy);
}

}  // namespace cistern::plan
