// How each part of the agent's configuration is written: names, bounds, and by the structs' own initialisers the defaults. The parts
// that a policy shares (timeouts, breaker, freshness …) are described here for both.
#pragma once

#include <array>
#include <utility>

#include "config/checks.hpp"
#include "config/model.hpp"
#include "yaml/bind.hpp"

namespace cistern::config {

constexpr auto enum_names(Fallback) { return std::array{std::pair{Fallback::kNotFound, "NotFound"}, std::pair{Fallback::kAny, "Any"}}; }
constexpr auto enum_names(Selection) {
  return std::array{std::pair{Selection::kOrdered, "Ordered"}, std::pair{Selection::kFastest, "Fastest"}};
}
constexpr auto enum_names(SumDbMode) {
  return std::array{std::pair{SumDbMode::kVerify, "Verify"}, std::pair{SumDbMode::kProxy, "Proxy"}, std::pair{SumDbMode::kOff, "Off"}};
}

template <class V>
void describe(V& v, Rewrite& rewrite) {
  v.required("pattern", rewrite.pattern, check_regex);
  v.required("replacement", rewrite.replacement);
}

template <class V>
void describe(V& v, SumDb& sumdb) {
  v.field("mode", sumdb.mode);
  v.field("name", sumdb.name, check_host);
  v.field("url", sumdb.url, check_optional_url);
  v.field("key", sumdb.key, check_verifier_key);
  v.field("exempt", sumdb.exempt, check_pattern);
}

template <class V>
void describe(V& v, GoFreshness& freshness) {
  v.field("list", freshness.list, check_age);
  v.field("latest", freshness.latest, check_age);
  v.field("negative", freshness.negative, check_negative);
  v.field("staleIfError", freshness.stale_if_error, check_age);
}

template <class V>
void describe(V& v, Timeouts& timeouts) {
  v.field("connect", timeouts.connect, check_timeout);
  v.field("firstByte", timeouts.first_byte, check_timeout);
  v.field("idle", timeouts.idle, check_timeout);
}

template <class V>
void describe(V& v, Breaker& breaker) {
  v.field("failures", breaker.failures, Between{1, 1000});
  v.field("openFor", breaker.open_for, check_timeout);
}

template <class V>
void describe(V& v, RateLimit& limit) {
  v.field("requestsPerSecond", limit.requests_per_second);
  v.field("burst", limit.burst);
}

// What upstreams of Go and of images have in common.
template <class V>
void describe_upstream(V& v, Upstream& upstream) {
  v.field("name", upstream.name, check_name);
  v.required("url", upstream.url, check_url);
  v.field("credentials", upstream.credentials_folder);
  v.field("caFile", upstream.ca_file);
  v.field("clientCertFile", upstream.client_cert_file);
  v.field("clientKeyFile", upstream.client_key_file);
  v.field("insecureSkipVerify", upstream.insecure_skip_verify);
  v.field("authHosts", upstream.auth_hosts, check_host);
}

template <class V>
void describe(V& v, GoView& view) {
  v.field("name", view.name, [](const std::string& name) { return name.empty() ? Result<void>() : check_label(name); });
  v.list("upstreams", view.upstreams, [](auto& item, Upstream& upstream) {
    describe_upstream(item, upstream);
    item.field("fallback", upstream.fallback);
    item.field("match", upstream.match, check_pattern);
    item.field("weight", upstream.weight, Between{1, 1000});
  });
  v.field("private", view.private_patterns, check_pattern);
  v.field("deny", view.deny, check_pattern);
  v.field("sumDB", view.sumdb);
  v.field("freshness", view.freshness);
}

template <class V>
void describe(V& v, Registry& registry) {
  v.required("name", registry.name, check_registry);
  v.list("upstreams", registry.upstreams, [](auto& item, Upstream& upstream) {
    describe_upstream(item, upstream);
    item.field("rewrite", upstream.rewrite);
  });
  v.field("tagTTL", registry.tag_ttl, check_age);
  v.field("immutableTags", registry.immutable_tags, check_regex);
  v.field("negative", registry.negative, check_age);
  v.field("staleIfError", registry.stale_if_error, check_age);
}

template <class V>
void describe(V& v, Listeners& listeners) {
  v.field("node", listeners.node, check_address);
  v.field("pods", listeners.pods, check_address);
  v.field("admin", listeners.admin, check_address);
  v.field("tlsCertFile", listeners.tls_cert_file);
  v.field("tlsKeyFile", listeners.tls_key_file);
}

template <class V>
void describe(V& v, Server& server) {
  v.field("threads", server.threads, Between{0, 1024});
  v.field("maxHeader", server.max_header, check_size);
  v.field("headerTimeout", server.header_timeout, check_timeout);
  v.field("idleTimeout", server.idle_timeout, check_timeout);
  v.field("shutdownDelay", server.shutdown_delay, check_delay);
  v.field("drainTimeout", server.drain_timeout, check_timeout);
  v.field("maxConnections", server.max_connections, Between{1, 1'000'000});
  v.field("logLevel", server.log_level, check_log_level);
  v.field("slowRequest", server.slow_request, check_timeout);
  v.field("logHitsOneIn", server.log_hits_one_in, Between{1, 1'000'000'000});
}

template <class V>
void describe(V& v, Storage& storage) {
  v.required("path", storage.path);
  v.field("size", storage.size, check_size);
  v.field("minFree", yaml::Percent{storage.min_free_percent});
  v.field("memory", storage.memory);
}

template <class V>
void describe(V& v, Peer& peer) {
  v.required("address", peer.address, check_peer_address);
  v.field("zone", peer.zone);
}

template <class V>
void describe(V& v, Peers& peers) {
  v.field("enabled", peers.enabled);
  v.field("self", peers.self, check_address);
  v.field("zone", peers.zone);
  v.field("list", peers.list);
  v.field("dns", peers.dns, check_address);
  v.field("keyFile", peers.key_file);
  v.field("timeout", peers.timeout, check_timeout);
}

template <class V>
void describe(V& v, Config& config) {
  v.field("policy", config.policy);
  v.field("listeners", config.listeners);
  v.field("server", config.server);
  v.required("storage", config.storage);
  v.group("go", [&](auto& go) { go.field("views", config.go_views); });
  v.group("images", [&](auto& images) { images.field("registries", config.registries); });
  v.field("selection", config.selection);
  v.field("timeouts", config.timeouts);
  v.field("retries", config.retries, Between{0, 10});
  v.field("breaker", config.breaker);
  v.field("rateLimit", config.rate_limit);
  v.field("peers", config.peers);
}

}  // namespace cistern::config
