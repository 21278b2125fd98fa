// SumDb: reading and serving tiles.
#include "cache-agent/verify/sumdb.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <algorithm>
#include <atomic>
#include <exception>
#include <spdlog/spdlog.h>

namespace cistern::verify {

// Tiles that are loaded at the same time.
struct SumDb::Gathering {
  explicit Gathering(std::vector<Tile> wanted)
      : tiles(std::move(wanted)), loaded(tiles.size(), fail(ErrorCode::kInternal, "reading a tile was broken off")), left(tiles.size()) {}

  void one_done() {
    if (--left == 0) done->set();
  }

  const std::vector<Tile> tiles;
  std::vector<Result<LoadedTile>> loaded;  // each written by one coroutine
  std::atomic<std::size_t> left;
  std::shared_ptr<OneShotEvent> done = std::make_shared<OneShotEvent>();
};

Awaitable<Result<SumDb::ProvenNodes>> SumDb::read_nodes(Tree tree, std::vector<Node> nodes) {
  const auto plan = TileReading::plan(tree, std::move(nodes));
  if (!plan) co_return fail(plan.error());
  co_return co_await read_nodes_once(*plan, true);
}

// Tiles of our own that do not fit may be damaged on disk, or the tree may be a fork: the database's tiles tell.
Awaitable<Result<SumDb::ProvenNodes>> SumDb::read_nodes_once(TileReading plan, bool use_own) {
  auto loaded = co_await load_tiles(plan.tiles(), use_own);
  if (!loaded) co_return fail(std::move(loaded.error()));
  std::vector<std::string> contents;
  for (const LoadedTile& tile : *loaded) contents.push_back(tile.bytes);
  auto hashes = plan.authenticate(contents);
  if (hashes) co_return ProvenNodes{std::move(*hashes), plan.tiles(), std::move(*loaded)};
  const bool had_own = std::any_of(loaded->begin(), loaded->end(), [](const LoadedTile& tile) { return tile.origin != Origin::kFetched; });
  if (!had_own) co_return fail(std::move(hashes.error()));
  spdlog::warn("checksum database {}: tiles are fetched anew: {}", key_.name(), hashes.error().message);
  co_return co_await read_nodes_once(std::move(plan), false);
}

void SumDb::keep_tiles(const ProvenNodes& proven) {
  for (std::size_t i = 0; i < proven.tiles.size(); ++i) {
    const LoadedTile& tile = proven.contents[i];
    if (tile.origin == Origin::kFetched) source_.keep(proven.tiles[i].path(), tile.bytes);
    if (tile.origin != Origin::kMemory) memory_.keep_tile(proven.tiles[i], tile.bytes);
  }
}

Awaitable<Result<std::vector<SumDb::LoadedTile>>> SumDb::load_tiles(std::vector<Tile> tiles, bool use_own) {
  const auto executor = co_await asio::this_coro::executor;
  const auto gathering = std::make_shared<Gathering>(std::move(tiles));
  for (std::size_t i = 0; i < gathering->tiles.size(); ++i) {
    auto bytes = use_own ? memory_.tile(gathering->tiles[i]) : std::nullopt;
    if (bytes) {
      gathering->loaded[i] = LoadedTile{std::move(*bytes), Origin::kMemory};
      gathering->one_done();
    } else {
      // An exception of the source leaves the error that is there.
      asio::co_spawn(executor, load_one(gathering, i, use_own), [gathering](const std::exception_ptr&) { gathering->one_done(); });
    }
  }
  if (!gathering->tiles.empty()) co_await OneShotEvent::wait(gathering->done);
  std::vector<LoadedTile> loaded;
  for (auto& tile : gathering->loaded) {
    if (!tile) co_return fail(std::move(tile.error()));
    loaded.push_back(std::move(*tile));
  }
  co_return loaded;
}

Awaitable<void> SumDb::load_one(std::shared_ptr<Gathering> gathering, std::size_t position, bool use_kept) {
  gathering->loaded[position] = co_await load_tile(gathering->tiles[position], use_kept);
}

Awaitable<Result<SumDb::LoadedTile>> SumDb::load_tile(Tile tile, bool use_kept) {
  if (use_kept) {
    if (auto kept = co_await kept_tile(tile)) co_return LoadedTile{std::move(*kept), Origin::kKept};
  }
  auto fetched = co_await fetch_tile(tile);
  if (!fetched) {
    // A tile that a proof needs must exist: its absence says nothing about a module.
    auto error = std::move(fetched.error());
    if (error.code == ErrorCode::kNotFound || error.code == ErrorCode::kGone) error.code = ErrorCode::kUpstream;
    co_return fail(std::move(error));
  }
  co_return LoadedTile{std::move(*fetched), Origin::kFetched};
}

Awaitable<std::optional<std::string>> SumDb::kept_tile(Tile tile) {
  auto bytes = co_await source_.kept(tile.path());
  if (!bytes && tile != tile.complete()) bytes = co_await source_.kept(tile.complete().path());
  if (!bytes || bytes->size() < tile.bytes()) co_return std::nullopt;
  bytes->resize(tile.bytes());
  co_return bytes;
}

// A database may drop a narrow tile once the complete one is there.
Awaitable<Result<std::string>> SumDb::fetch_tile(Tile tile) {
  auto bytes = co_await fetches_.run(tile.path(), source_.fetch(tile.path()));
  if (bytes || tile == tile.complete() || bytes.error().code == ErrorCode::kTimeout) co_return bytes;
  auto wide = co_await fetches_.run(tile.complete().path(), source_.fetch(tile.complete().path()));
  if (!wide || wide->size() != tile.complete().bytes()) co_return bytes;  // the error that was first
  wide->resize(tile.bytes());
  co_return wide;
}

Awaitable<Result<std::string>> SumDb::tile(std::string path) {
  auto body = co_await tile_body(path);
  if (!body) co_return fail(named(body.error()));
  co_return body;
}

Awaitable<Result<std::string>> SumDb::tile_body(std::string path) {
  const auto tile = Tile::parse(path);
  if (!tile) co_return fail(tile.error());
  const bool data = tile->level == Tile::kData;
  if (!data) {
    if (auto bytes = memory_.tile(*tile)) co_return std::move(*bytes);
  }
  if (auto kept = co_await source_.kept(path); kept && (data || kept->size() == tile->bytes())) co_return std::move(*kept);
  if (tile->records() > newest().tree.size) {
    const auto asked = co_await latest();
    if (!asked && asked.error().code == ErrorCode::kCorrupt) co_return fail(asked.error());
  }
  const Tree tree = newest().tree;
  if (tile->records() > tree.size) co_return co_await fetches_.run(path, source_.fetch(path));
  if (data) co_return co_await proven_data_tile(tree, *tile);
  co_return co_await proven_tile(tree, *tile);
}

Awaitable<Result<std::string>> SumDb::proven_tile(Tree tree, Tile tile) {
  std::vector<Node> nodes;
  const unsigned level = static_cast<unsigned>(tile.level) * Tile::kHeight;
  for (unsigned i = 0; i < tile.width; ++i) nodes.push_back({level, tile.index * Tile::kWidth + i});
  const auto proven = co_await read_nodes(tree, std::move(nodes));
  if (!proven) co_return fail(proven.error());
  keep_tiles(*proven);
  std::string bytes;
  for (const Hash& hash : proven->hashes) bytes.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
  co_return bytes;
}

Awaitable<Result<std::string>> SumDb::proven_data_tile(Tree tree, Tile tile) {
  Tile hashes = tile;
  hashes.level = 0;
  const auto proven = co_await proven_tile(tree, hashes);
  if (!proven) co_return fail(proven.error());
  auto body = co_await fetches_.run(tile.path(), source_.fetch(tile.path()));
  if (!body && tile != tile.complete()) {
    const auto wide = co_await fetches_.run(tile.complete().path(), source_.fetch(tile.complete().path()));
    if (wide) body = wide;
  }
  if (!body) co_return fail(body.error());
  const auto texts = split_data_tile(*body);
  if (!texts) co_return fail(texts.error());
  if (texts->size() < tile.width) co_return fail(ErrorCode::kCorrupt, "{} has only {} records", tile.path(), texts->size());
  std::string records;
  for (unsigned i = 0; i < tile.width; ++i) {
    const Hash hash = leaf_hash((*texts)[i]);
    const std::string_view published = std::string_view(*proven).substr(i * Tile::kHashSize, Tile::kHashSize);
    if (!std::equal(hash.bytes.begin(), hash.bytes.end(), reinterpret_cast<const unsigned char*>(published.data()))) {
      co_return fail(ErrorCode::kCorrupt, "{}: the log has another record {}", tile.path(), tile.index * Tile::kWidth + i);
    }
    records.append((*texts)[i]).append("\n");
  }
  source_.keep(tile.path(), records);
  co_return records;
}

}  // namespace cistern::verify
