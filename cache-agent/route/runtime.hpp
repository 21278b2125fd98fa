// One configuration, made ready to serve: its upstreams opened, its patterns compiled, its checksum databases loaded. Immutable; a reload
// makes a new one, and requests under way keep the one they began with.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/thread_pool.hpp>

#include "base/clock.hpp"
#include "cache-agent/cache/cache.hpp"
#include "cache-agent/ecosystem/oci/rewrite.hpp"
#include "cache-agent/observe/metrics.hpp"
#include "cache-agent/peers/directory.hpp"
#include "cache-agent/route/sumdb_source.hpp"
#include "cache-agent/store/store.hpp"
#include "cache-agent/upstream/selection.hpp"
#include "cache-agent/upstream/upstream.hpp"
#include "cache-agent/verify/sumdb.hpp"
#include "config/model.hpp"

namespace cistern::route {

// What outlives a configuration.
struct Engine {
  cache::Cache& cache;
  store::Store& store;
  upstream::Client& client;
  const Clock& clock;
  asio::thread_pool& disk;   // for what blocks on the store
  asio::thread_pool& fills;  // for what waits for upstreams
  observe::Metrics& metrics;
};

using Upstreams = std::vector<std::shared_ptr<upstream::Upstream>>;

// A checksum database and where it is read from; shared with the checks of fills that outlive a configuration.
struct ChecksumDb {
  std::unique_ptr<SumDbUpstreams> source;
  std::unique_ptr<verify::SumDb> db;  // null in mode Proxy: what the database says is passed on, and the client verifies it
};

struct GoView {
  const config::GoView* config = nullptr;
  Upstreams upstreams;  // as in config->upstreams
  std::unique_ptr<upstream::Selector> selector;
  std::shared_ptr<ChecksumDb> checksums;  // null with mode Off
};

struct Registry {
  const config::Registry* config = nullptr;
  Upstreams upstreams;
  std::unique_ptr<upstream::Selector> selector;
  std::vector<oci::Rewriter> rewriters;  // one for each upstream
  oci::TagMatcher immutable_tags;
};

class Runtime {
 public:
  // kInvalid for what the configuration's own validation can not see (a verifier key).
  static Result<std::shared_ptr<const Runtime>> make(config::Loaded loaded, Engine engine, std::shared_ptr<peers::Directory> directory);

  const config::Config& config() const { return loaded_.config; }
  const std::string& hash() const { return loaded_.hash; }
  const Engine& engine() const { return engine_; }
  // Null: no such view.
  const GoView* view(std::string_view name) const;
  const std::vector<Registry>& registries() const { return registries_; }
  // Null: peers are off.
  peers::Directory* directory() const { return directory_.get(); }
  std::shared_ptr<peers::Directory> shared_directory() const { return directory_; }
  upstream::Settings settings() const;
  // Every upstream, with the name that metrics use; the same name comes more than once where views or registries have it.
  std::vector<observe::UpstreamStatus> upstream_states() const;
  // How often another upstream became the preferred one.
  std::uint64_t changes_of_preference() const;
  // Sends off the probes that are due (upstream/preference.hpp). Cheap where none is; to be called several times a second.
  void probe_upstreams() const;

 private:
  Runtime(config::Loaded loaded, Engine engine, std::shared_ptr<peers::Directory> directory);
  Result<void> open_views();
  Result<void> open_registries();
  std::unique_ptr<upstream::Selector> selector(const std::vector<config::Upstream>& configurations, const Upstreams& upstreams) const;

  const config::Loaded loaded_;
  const Engine engine_;
  const std::shared_ptr<peers::Directory> directory_;
  std::vector<GoView> views_;
  std::vector<Registry> registries_;
};

}  // namespace cistern::route
