// The whole configuration of one cache-agent, as the operator renders it (into a group's Secret, or in standalone mode onto the disk)
// and the agent reads it. Plain values: everything is defaulted and checked by the time a program sees one (config/load.hpp), and a
// loaded configuration never changes; a reload makes a new one.
//
// Policy words (upstream, registry, view, private, deny …) are defined in the MirrorPolicy reference. A *view* is what the
// profile of a pod may see of Go: the empty name is /go/, "dev" is /go/~dev/.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace cistern::config {

using std::chrono::milliseconds;

// Contents of a credentials folder: `username` and `password`, or `token`. Never printed: it has no formatter and the writer
// writes the folder's name in its place. Entries of a .dockerconfigjson are resolved per registry host while loading.
struct Credentials {
  std::string username;
  std::string password;
  std::string token;
  bool operator==(const Credentials&) const = default;
};

enum class Fallback { kNotFound, kAny };  // next upstream on 404/410 only (','), or on any failure ('|')
enum class Selection { kOrdered, kFastest };

struct Rewrite {
  std::string pattern;      // RE2, matched against the repository
  std::string replacement;  // \1 … \9
  bool operator==(const Rewrite&) const = default;
};

// A canary: a stable share of the objects goes to it, for as long as it does no worse than the others.
struct Rollout {
  unsigned percent = 100;
  std::vector<std::string> match;  // patterns of modules or repositories that are shared so; empty: all
  bool operator==(const Rollout&) const = default;
};

// Somewhere to ask. For images `fallback` is always kAny, and `match` is unused.
struct Upstream {
  std::string name;  // unique in its list; the URL's host unless given. Label of metrics.
  std::string url;   // http or https, no user information, no query, no trailing slash
  Fallback fallback = Fallback::kNotFound;
  std::vector<std::string> match = {"*"};         // module patterns
  std::vector<Rewrite> rewrite;                   // images only; the first that matches
  std::string credentials_folder;                 // as in the file, a folder or a name beside it; empty: none
  std::optional<Credentials> credentials;         // what was read from there
  std::string ca_file;                            // as in the file; empty: the system's
  std::string ca_pem;                             // what was read from there
  std::string client_cert_file, client_key_file;  // TLS client certificate; empty: none. Absolute once loaded
  bool insecure_skip_verify = false;
  std::vector<std::string> auth_hosts;  // other hosts that may be its token realm
  unsigned weight = 1;
  std::optional<Rollout> rollout;
  bool operator==(const Upstream&) const = default;
};

enum class SumDbMode { kVerify, kProxy, kOff };

struct SumDb {
  SumDbMode mode = SumDbMode::kVerify;
  std::string name = "sum.golang.org";
  std::string url;                  // empty: the first upstream that serves /sumdb/<name>/, else https://<name>
  std::string key;                  // verifier key "name+hash+base64"; for sum.golang.org a default is built in
  std::vector<std::string> exempt;  // module patterns that are not looked up
  bool operator==(const SumDb&) const = default;
};

struct GoFreshness {
  milliseconds list = std::chrono::minutes(1);
  milliseconds latest = std::chrono::minutes(1);    // @latest and .info of branches
  milliseconds negative = std::chrono::minutes(1);  // 404 and 410; at most a minute
  milliseconds stale_if_error = std::chrono::hours(168);
  bool operator==(const GoFreshness&) const = default;
};

struct GoView {
  std::string name;  // "" or a profile
  std::vector<Upstream> upstreams;
  std::vector<std::string> private_patterns;  // `private` in the file
  std::vector<std::string> deny;
  SumDb sumdb;
  GoFreshness freshness;
  bool operator==(const GoView&) const = default;
};

struct Registry {
  std::string name;  // as in an image reference: "docker.io", "registry.k8s.io", "localhost:5000"
  std::vector<Upstream> upstreams;
  milliseconds tag_ttl = std::chrono::minutes(5);
  std::vector<std::string> immutable_tags;  // RE2, whole tag
  milliseconds negative = std::chrono::seconds(30);
  milliseconds stale_if_error = std::chrono::hours(168);
  bool operator==(const Registry&) const = default;

  // Whether anything is fetched with credentials; such a registry is served on the node listener only.
  bool needs_credentials() const;
};

struct Timeouts {
  milliseconds connect = std::chrono::seconds(3);
  milliseconds first_byte = std::chrono::seconds(15);
  milliseconds idle = std::chrono::seconds(30);
  bool operator==(const Timeouts&) const = default;
};

struct Breaker {
  unsigned failures = 5;
  milliseconds open_for = std::chrono::seconds(30);
  bool operator==(const Breaker&) const = default;
};

struct RateLimit {
  double requests_per_second = 0;  // 0: none
  unsigned burst = 0;              // 0: one second's worth
  bool operator==(const RateLimit&) const = default;
};

struct Storage {
  std::string path;                // absolute once loaded
  Bytes size = gib(20);            // of blobs, ours
  unsigned min_free_percent = 15;  // of the file system; eviction starts above whichever bound is met first
  Bytes memory = mib(64);          // small bodies kept in memory
  bool operator==(const Storage&) const = default;
};

struct Peer {
  std::string address;  // HOST:PORT of its pods listener; also its name in rendezvous hashing
  std::string zone;     // may be empty
  bool operator==(const Peer&) const = default;
};

struct Peers {
  bool enabled = false;
  std::string self;  // this agent's address as the others list it; empty with `dns`: found among the local addresses
  std::string zone;
  std::vector<Peer> list;                          // a static list (may contain self), or …
  std::string dns;                                 // … HOST:PORT whose A/AAAA records are the peers
  std::string key_file;                            // as in the file
  std::string key;                                 // what was read from there; ≥ 16 bytes
  std::string previous_key;                        // from key_file + ".previous", accepted while keys rotate; may be empty
  milliseconds timeout = std::chrono::seconds(2);  // to the owner's first byte, before it is passed over
  bool operator==(const Peers&) const = default;
};

// Addresses are HOST:PORT or [V6]:PORT; empty: that listener is not opened. Standalone mode has node == pods: one listener that
// serves as both.
struct Listeners {
  std::string node;
  std::string pods;
  std::string admin;
  std::string tls_cert_file, tls_key_file;  // for pods and node; reloaded when they change; empty: plaintext. Absolute once loaded
  bool operator==(const Listeners&) const = default;
  bool combined() const { return node == pods; }
};

// What log, limits and the server's time limits are set to.
struct Server {
  unsigned threads = 0;  // 0: one for each core
  Bytes max_header = kib(16);
  milliseconds header_timeout = std::chrono::seconds(10);
  milliseconds idle_timeout = std::chrono::seconds(75);
  milliseconds shutdown_delay{0};                         // at the end: not ready, but serving, for those who have not heard of it yet
  milliseconds drain_timeout = std::chrono::seconds(30);  // then, for what is under way
  unsigned max_connections = 16384;
  std::string log_level = "info";
  milliseconds slow_request = std::chrono::seconds(5);
  unsigned log_hits_one_in = 1000;
  bool operator==(const Server&) const = default;
};

struct Config {
  std::string policy;  // metadata.name, for logs and metrics
  Listeners listeners;
  Server server;
  Storage storage;
  std::vector<GoView> go_views;  // the empty-named one first; empty: Go is not served
  std::vector<Registry> registries;
  Selection selection = Selection::kOrdered;
  Timeouts timeouts;
  unsigned retries = 3;
  Breaker breaker;
  RateLimit rate_limit;
  Peers peers;
  bool operator==(const Config&) const = default;
};

// Where a configuration came from, beside it: its hash (of the file and of every file that it names) is what /healthz and
// cistern_config_info answer with. 16 hex digits.
struct Loaded {
  Config config;
  std::string hash;
  std::vector<std::string> files;  // every file read, to be watched; absolute
};

}  // namespace cistern::config
