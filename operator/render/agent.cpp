#include "operator/render/agent.hpp"

namespace cistern::render {
namespace {

void add_references(const std::optional<model::Reference>& credentials, const std::optional<model::Reference>& ca,
                    config::Upstream& upstream) {
  if (credentials) upstream.credentials_folder = "credentials/" + credentials->name;
  if (ca) upstream.ca_file = "credentials/" + ca->name + "/ca.crt";
}

config::GoView go_view(const std::string& name, const model::Go& go) {
  config::GoView view;
  view.name = name;
  for (const auto& from : go.upstreams) {
    config::Upstream upstream;
    upstream.name = from.name;
    upstream.url = from.url;
    upstream.fallback = from.fallback;
    upstream.match = from.match;
    upstream.weight = from.weight;
    add_references(from.credentials_ref, from.ca_ref, upstream);
    view.upstreams.push_back(std::move(upstream));
  }
  view.private_patterns = go.private_patterns;
  view.deny = go.deny;
  view.sumdb = go.sumdb;
  view.freshness = go.freshness;
  return view;
}

config::Registry registry(const model::Registry& from) {
  config::Registry to;
  to.name = from.name;
  for (const auto& source : from.upstreams) {
    config::Upstream upstream;
    upstream.name = source.name;
    upstream.url = source.url;
    upstream.rewrite = source.rewrite;
    upstream.insecure_skip_verify = source.insecure_skip_verify;
    upstream.auth_hosts = source.auth_hosts;
    add_references(source.credentials_ref, source.ca_ref, upstream);
    to.upstreams.push_back(std::move(upstream));
  }
  to.tag_ttl = from.tag_ttl;
  to.immutable_tags = from.immutable_tags;
  to.stale_if_error = from.stale_if_error;
  return to;
}

}  // namespace

config::Config agent_config(const plan::MachinePlan& plan, const Machine& machine) {
  const model::Settings& settings = plan.effective.settings;
  config::Config config;
  config.policy = plan.policy;
  config.listeners.node = machine.listen;
  config.listeners.pods = machine.listen;
  config.listeners.admin = machine.admin;
  config.storage.path = "cache";
  config.storage.size = settings.storage.size;
  config.storage.min_free_percent = settings.storage.min_free_percent;
  if (!settings.go.upstreams.empty()) config.go_views.push_back(go_view("", settings.go));
  for (const auto& view : plan.views) config.go_views.push_back(go_view(view.profile, view.go));
  for (const auto& from : settings.registries) config.registries.push_back(registry(from));
  config.selection = settings.selection;
  config.timeouts = settings.timeouts;
  config.retries = settings.retries;
  config.breaker = settings.breaker;
  config.rate_limit = settings.rate_limit;
  return config;
}

}  // namespace cistern::render
