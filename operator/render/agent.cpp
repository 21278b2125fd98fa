#include "operator/render/agent.hpp"

namespace cistern::render {
namespace {

// The folder credentials/ beside the file, one folder for each name.
class DataFolder final : public ReferencePlaces {
 public:
  std::string credentials(const ReferenceUse& use) override { return "credentials/" + use.name; }
  std::string ca(const ReferenceUse& use) override { return "credentials/" + use.name + "/ca.crt"; }
};

template <class Upstream>
void add_references(const Upstream& from, const std::string& path, const std::string& registry, ReferencePlaces& places,
                    config::Upstream& upstream) {
  if (from.credentials_ref) upstream.credentials_folder = places.credentials({from.credentials_ref->name, path, registry, from.url});
  if (from.ca_ref) upstream.ca_file = places.ca({from.ca_ref->name, path, registry, from.url});
}

config::GoView go_view(const std::string& name, const model::Go& go, const std::string& path, ReferencePlaces& places) {
  config::GoView view;
  view.name = name;
  for (std::size_t i = 0; i < go.upstreams.size(); ++i) {
    const auto& from = go.upstreams[i];
    config::Upstream upstream;
    upstream.name = from.name;
    upstream.url = from.url;
    upstream.fallback = from.fallback;
    upstream.match = from.match;
    upstream.weight = from.weight;
    upstream.rollout = from.rollout;
    add_references(from, fmt::format("{}.go.upstreams[{}]", path, i), "", places, upstream);
    view.upstreams.push_back(std::move(upstream));
  }
  view.private_patterns = go.private_patterns;
  view.deny = go.deny;
  view.sumdb = go.sumdb;
  view.freshness = go.freshness;
  return view;
}

config::Registry registry(const model::Registry& from, const std::string& path, ReferencePlaces& places) {
  config::Registry to;
  to.name = from.name;
  for (std::size_t i = 0; i < from.upstreams.size(); ++i) {
    const auto& source = from.upstreams[i];
    config::Upstream upstream;
    upstream.name = source.name;
    upstream.url = source.url;
    upstream.rewrite = source.rewrite;
    upstream.insecure_skip_verify = source.insecure_skip_verify;
    upstream.auth_hosts = source.auth_hosts;
    upstream.weight = source.weight;
    upstream.rollout = source.rollout;
    add_references(source, fmt::format("{}.upstreams[{}]", path, i), from.name, places, upstream);
    to.upstreams.push_back(std::move(upstream));
  }
  to.tag_ttl = from.tag_ttl;
  to.immutable_tags = from.immutable_tags;
  to.stale_if_error = from.stale_if_error;
  return to;
}

}  // namespace

config::Config agent_config(const Served& served, ReferencePlaces& places) {
  const model::Settings& settings = served.settings;
  config::Config config;
  config.policy = served.policy;
  config.storage.size = settings.storage.size;
  config.storage.min_free_percent = settings.storage.min_free_percent;
  if (!served.go.upstreams.empty()) config.go_views.push_back(go_view("", served.go, "spec", places));
  for (const auto& view : served.views) {
    // A profile that leaves the upstreams alone says nothing of its own about them.
    const bool own = view.go.upstreams != served.go.upstreams;
    config.go_views.push_back(go_view(view.profile, view.go, own ? yaml::join_path("spec.profiles", view.profile) : "spec", places));
  }
  for (std::size_t i = 0; i < settings.registries.size(); ++i) {
    config.registries.push_back(registry(settings.registries[i], fmt::format("spec.images.registries[{}]", i), places));
  }
  config.selection = settings.selection;
  config.timeouts = settings.timeouts;
  config.retries = settings.retries;
  config.breaker = settings.breaker;
  config.rate_limit = settings.rate_limit;
  return config;
}

config::Config agent_config(const plan::MachinePlan& plan, const Machine& machine) {
  const model::Settings& settings = plan.effective.settings;
  DataFolder places;
  auto config = agent_config(Served{plan.policy, settings, plan.go, plan.views}, places);
  config.listeners.node = machine.listen;
  config.listeners.pods = machine.listen;
  config.listeners.admin = machine.admin;
  config.storage.path = "cache";
  return config;
}

}  // namespace cistern::render
