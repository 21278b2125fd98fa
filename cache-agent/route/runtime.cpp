#include "cache-agent/route/runtime.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "cache-agent/verify/note.hpp"

namespace cistern::route {

Runtime::Runtime(config::Loaded loaded, Engine engine, std::shared_ptr<peers::Directory> directory)
    : loaded_(std::move(loaded)), engine_(engine), directory_(std::move(directory)) {}

Result<std::shared_ptr<const Runtime>> Runtime::make(config::Loaded loaded, Engine engine, std::shared_ptr<peers::Directory> directory) {
  std::shared_ptr<Runtime> runtime(new Runtime(std::move(loaded), engine, std::move(directory)));
  if (auto opened = runtime->open_views(); !opened) return fail(opened.error());
  if (auto opened = runtime->open_registries(); !opened) return fail(opened.error());
  return std::shared_ptr<const Runtime>(std::move(runtime));
}

upstream::Settings Runtime::settings() const { return upstream::Settings{config().timeouts, config().retries, config().breaker}; }

namespace {

// Where a view's checksum database may be read, in the order in which the places are tried.
std::vector<SumDbUpstreams::Place> places_of(const config::GoView& view, const Upstreams& upstreams, const upstream::Settings& settings,
                                             upstream::Client& client) {
  std::vector<SumDbUpstreams::Place> places;
  config::Upstream own;
  own.name = view.sumdb.name;
  if (!view.sumdb.url.empty()) {
    own.url = view.sumdb.url;
  } else {
    // Not through a canary, whose failures must not be a client's; unless there is nobody else.
    const bool all = std::all_of(upstreams.begin(), upstreams.end(), [](const auto& upstream) { return upstream->canary() != nullptr; });
    for (const auto& upstream : upstreams) {
      if (all || upstream->canary() == nullptr) places.push_back({upstream, "/sumdb/" + view.sumdb.name, true});
    }
    own.url = "https://" + view.sumdb.name;
  }
  places.push_back({client.upstream(own, settings), "", false});
  return places;
}

Result<std::shared_ptr<ChecksumDb>> open_checksums(const config::GoView& view, const Upstreams& upstreams,
                                                   const upstream::Settings& settings, const Engine& engine) {
  auto checksums = std::make_shared<ChecksumDb>();
  const auto read_from = [&](std::string kept_under) {
    checksums->source = std::make_unique<SumDbUpstreams>(places_of(view, upstreams, settings, engine.client), std::move(kept_under),
                                                         engine.store, engine.clock, engine.disk);
  };
  if (view.sumdb.mode == config::SumDbMode::kProxy) {
    read_from(std::string());
    return checksums;
  }
  auto key = verify::VerifierKey::parse(view.sumdb.key);
  if (!key) return fail(key.error().in("sumDB.key"));
  read_from(fmt::format("go/sumdb/{}+{:08x}/~{}", key->name(), key->hash(), view.name));
  verify::SumDb::Settings sumdb;
  sumdb.key = view.sumdb.key;
  sumdb.head = checksums->source->kept_head();
  sumdb.latest_ttl = view.freshness.latest;
  auto db = verify::SumDb::create(sumdb, *checksums->source, engine.clock);
  if (!db && !sumdb.head.empty()) {
    // A head that does not verify is of no use; the database's own answers will be checked from the start.
    sumdb.head.clear();
    db = verify::SumDb::create(sumdb, *checksums->source, engine.clock);
  }
  if (!db) return fail(db.error().in("sumDB"));
  checksums->db = std::move(*db);
  return checksums;
}

}  // namespace

Result<void> Runtime::open_views() {
  for (const auto& config : config().go_views) {
    GoView view;
    view.config = &config;
    for (const auto& upstream : config.upstreams) view.upstreams.push_back(engine_.client.upstream(upstream, settings()));
    view.selector = selector(config.upstreams, view.upstreams);
    if (config.sumdb.mode != config::SumDbMode::kOff) {
      auto checksums = open_checksums(config, view.upstreams, settings(), engine_);
      if (!checksums) return fail(checksums.error().in(fmt::format("go view \"{}\"", config.name)));
      view.checksums = std::move(*checksums);
    }
    views_.push_back(std::move(view));
  }
  return {};
}

Result<void> Runtime::open_registries() {
  for (const auto& config : config().registries) {
    auto tags = oci::TagMatcher::make(config.immutable_tags);
    if (!tags) return fail(tags.error().in(config.name));
    Registry registry{&config, {}, {}, {}, std::move(*tags)};
    for (const auto& upstream : config.upstreams) {
      auto rewriter = oci::Rewriter::make(upstream.rewrite);
      if (!rewriter) return fail(rewriter.error().in(config.name));
      registry.rewriters.push_back(std::move(*rewriter));
      registry.upstreams.push_back(engine_.client.upstream(upstream, settings()));
    }
    registry.selector = selector(config.upstreams, registry.upstreams);
    registries_.push_back(std::move(registry));
  }
  return {};
}

const GoView* Runtime::view(std::string_view name) const {
  const auto found = std::find_if(views_.begin(), views_.end(), [&](const GoView& view) { return view.config->name == name; });
  return found == views_.end() ? nullptr : &*found;
}

std::unique_ptr<upstream::Selector> Runtime::selector(const std::vector<config::Upstream>& configurations,
                                                      const Upstreams& upstreams) const {
  return std::make_unique<upstream::Selector>(configurations, upstreams, config().selection, engine_.clock);
}

std::vector<observe::UpstreamStatus> Runtime::upstream_states() const {
  std::vector<observe::UpstreamStatus> states;
  const auto add = [&](const auto& list) {
    for (std::size_t i = 0; i < list.upstreams.size(); ++i) {
      states.push_back({list.upstreams[i]->name(), list.upstreams[i]->health(), list.selector->is_preferred(i)});
    }
  };
  for (const auto& view : views_) add(view);
  for (const auto& registry : registries_) add(registry);
  return states;
}

std::uint64_t Runtime::changes_of_preference() const {
  std::uint64_t changes = 0;
  for (const auto& view : views_) changes += view.selector->changes();
  for (const auto& registry : registries_) changes += registry.selector->changes();
  return changes;
}

namespace {

// A body that is not read: what comes of it is taken in with the connection, if it is short.
Awaitable<void> probe(std::shared_ptr<upstream::Upstream> upstream, upstream::Ask ask) {
  const auto opened = co_await upstream->open(std::move(ask));
  static_cast<void>(opened);
}

}  // namespace

void Runtime::probe_upstreams() const {
  constexpr std::chrono::seconds kLongest{5};
  const auto send = [&](const auto& list, std::string_view target) {
    for (auto& upstream : list.selector->probes_due()) {
      upstream::Ask ask;
      ask.target = target;
      ask.probe = true;
      ask.first_byte = std::min<std::chrono::milliseconds>(config().timeouts.first_byte, kLongest);
      asio::co_spawn(engine_.fills, probe(std::move(upstream), std::move(ask)), asio::detached);
    }
  };
  for (const auto& view : views_) send(view, upstream::go_probe());
  for (const auto& registry : registries_) send(registry, upstream::image_probe());
}

}  // namespace cistern::route
