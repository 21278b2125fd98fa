// MirrorPolicy, cistern.dev/v1alpha1, as values. The members' initialisers are the schema's defaults, the names in files are in
// model/describe.hpp; what the fields mean is told in the MirrorPolicy reference.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "config/model.hpp"
#include "yaml/node.hpp"

namespace cistern::model {

using std::chrono::milliseconds;
using yaml::Json;

// A Secret or ConfigMap by name; in standalone mode a folder of files.
struct Reference {
  std::string name;
  bool operator==(const Reference&) const = default;
};

struct GoUpstream {
  std::string name;
  std::string url;
  config::Fallback fallback = config::Fallback::kNotFound;
  std::vector<std::string> match = {"*"};
  std::optional<Reference> credentials_ref;
  std::optional<Reference> ca_ref;
  unsigned weight = 1;
  std::optional<config::Rollout> rollout;
  bool operator==(const GoUpstream&) const = default;
};

struct Go {
  std::vector<GoUpstream> upstreams;
  std::vector<std::string> private_patterns;
  std::vector<std::string> deny;
  config::SumDb sumdb;
  bool allow_direct = false;
  config::GoFreshness freshness;
  bool operator==(const Go&) const = default;
};

struct ImageUpstream {
  std::string name;
  std::string url;
  std::vector<config::Rewrite> rewrite;
  std::optional<Reference> credentials_ref;
  std::optional<Reference> ca_ref;
  bool insecure_skip_verify = false;
  std::vector<std::string> auth_hosts;
  unsigned weight = 1;
  std::optional<config::Rollout> rollout;
  bool operator==(const ImageUpstream&) const = default;
};

struct Registry {
  std::string name;
  std::vector<ImageUpstream> upstreams;
  milliseconds tag_ttl = std::chrono::minutes(5);
  std::vector<std::string> immutable_tags;
  milliseconds stale_if_error = std::chrono::hours(168);
  bool fallback_to_source = true;
  bool operator==(const Registry&) const = default;
};

enum class OnDelete { kDelete, kKeep };

struct Storage {
  Bytes size = gib(20);
  unsigned min_free_percent = 15;
  std::string host_path = "/var/lib/cistern";
  OnDelete on_delete = OnDelete::kDelete;
  bool operator==(const Storage&) const = default;
};

enum class InjectionMode { kOptOut, kOptIn, kOff };

struct Injection {
  InjectionMode mode = InjectionMode::kOptOut;
  bool overwrite = false;
  std::map<std::string, std::string> env;
  bool operator==(const Injection&) const = default;
};

enum class NodeConfigMode { kApply, kReport, kOff };
enum class Runtime { kContainerd, kCrio };

struct NodeConfig {
  NodeConfigMode mode = NodeConfigMode::kApply;
  std::vector<Runtime> runtimes = {Runtime::kContainerd, Runtime::kCrio};
  Json max_unavailable = "10%";  // a percentage, or a number of nodes
  bool operator==(const NodeConfig&) const = default;
};

struct Prefetch {
  std::vector<std::string> go_modules;
  std::vector<std::string> images;
  bool operator==(const Prefetch&) const = default;
};

enum class PeersMode { kAuto, kOff };

struct Peers {
  PeersMode mode = PeersMode::kAuto;
  unsigned replicas = 1;
  bool operator==(const Peers&) const = default;
};

// Parts of a pod's specification are passed on as they are.
struct Agent {
  Json resources = Json::object();
  Json tolerations = Json::array({Json{{"operator", "Exists"}}});
  Json affinity = Json::object();
  std::string priority_class_name = "cistern-agent";
  std::string image;  // empty: the operator's own
  bool host_network = false;
  bool operator==(const Agent&) const = default;
};

// What an overlay may change: the fields from `go` to `agent`.
struct Settings {
  Go go;
  std::vector<Registry> registries;
  config::Selection selection = config::Selection::kOrdered;
  config::Timeouts timeouts;
  unsigned retries = 3;
  config::Breaker breaker;
  config::RateLimit rate_limit;
  Storage storage;
  Injection injection;
  NodeConfig node_config;
  Prefetch prefetch;
  Peers peers;
  Agent agent;
  bool operator==(const Settings&) const = default;
};

struct SelectorRequirement {
  std::string key;
  std::string op;  // In, NotIn, Exists, DoesNotExist
  std::vector<std::string> values;
  bool operator==(const SelectorRequirement&) const = default;
};

struct LabelSelector {
  std::map<std::string, std::string> match_labels;
  std::vector<SelectorRequirement> match_expressions;
  bool operator==(const LabelSelector&) const = default;
};

// How a node's region or profile is found.
struct Choice {
  std::string label_key;
  std::string fallback;  // `default` in the file
  bool operator==(const Choice&) const = default;
};

struct Spec {
  int priority = 0;
  LabelSelector node_selector;
  LabelSelector namespace_selector;
  Settings settings;
  Choice region = {"topology.kubernetes.io/region", ""};
  Choice profile = {"cistern.dev/profile", ""};
  std::map<std::string, yaml::Node> regions;   // overlays of Settings, as written
  std::map<std::string, yaml::Node> profiles;  // likewise
};

struct Metadata {
  std::string name;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::string creation_timestamp;  // RFC 3339, UTC; empty in files that were never applied
  unsigned generation = 0;
};

struct Policy {
  Metadata metadata;
  Spec spec;          // defaults filled in
  yaml::Node source;  // `spec` as it was written
};

}  // namespace cistern::model
