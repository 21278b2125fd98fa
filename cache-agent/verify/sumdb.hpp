// A client of a Go checksum database, which verifies all it is told and can serve other clients from what it verified.
// Rules: go.dev/ref/mod#checksum-database and golang.org/x/mod/sumdb; what the cache adds: protocols.md, "Checksum database".
//
// It remembers the newest tree head that it proved, and never goes back:
// - a newer head, in whatever answer it comes, is taken after its frontier was read and the remembered head was found in it;
// - an older head, as look-ups and proxies' "/latest" carry them, must be found in the remembered one;
// - a head that fits neither is a fork: kCorrupt, with both heads in the text. Nothing is taken from that answer.
// A record counts when it is proven to be in the log of the remembered head.
//
// A look-up is served as the record and the remembered head. For a client without a history that names tiles of exactly this
// head, and these were kept: while the head moves on, the tiles at its former edge are read again, complete, as part of the
// consistency proof. Narrow tiles for older heads are cut from wider ones.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/units.hpp"
#include "cache-agent/verify/note.hpp"
#include "cache-agent/verify/single_flight.hpp"
#include "cache-agent/verify/tile.hpp"
#include "cache-agent/verify/tile_reading.hpp"
#include "cache-agent/verify/tlog.hpp"
#include "cache-agent/verify/verified_memory.hpp"

namespace cistern::verify {

// Where the database's answers come from, and where verified ones are kept. Called from the coroutines of SumDb, by several
// threads at once. Paths are the database's own: "/lookup/<module>@<version>" with upper case escaped by '!', "/tile/8/…",
// "/latest". Kept answers belong to one verifier key: under another key they must not be found.
class SumDbSource {
 public:
  virtual ~SumDbSource() = default;
  // Asks the database, past every cache of ours. kNotFound or kGone where it says so; else kUpstream, kTimeout …. Bodies should be
  // bounded to 1 MB. Not called twice at once for one path.
  virtual Awaitable<Result<std::string>> fetch(std::string path) = 0;
  // What keep() was given for that path, if it is still there.
  virtual Awaitable<std::optional<std::string>> kept(std::string path) = 0;
  // A verified look-up or tile: immutable. Must not block.
  virtual void keep(std::string path, std::string body) = 0;
  // The newest head has moved to this signed note, which SumDb::Settings::head wants back after a restart. Called in order of
  // the heads, under a lock: it must not block and not call SumDb.
  virtual void keep_head(std::string note) = 0;
};

// Thread-safe: its coroutines run on any executor, several at once. It, its source and its clock outlive them, also those that are
// destroyed with their io_context.
class SumDb {
 public:
  struct Settings {
    std::string key;                                                 // "name+hash+key", as GOSUMDB has it
    std::string head;                                                // what keep_head() was last given; or nothing
    std::chrono::milliseconds latest_ttl = std::chrono::minutes(1);  // how long latest() does not ask again
    Bytes memory = mib(4);                                           // for verified tiles and records
  };
  // kInvalid for a bad key; kCorrupt for a head that the key has not signed.
  static Result<std::unique_ptr<SumDb>> create(const Settings& settings, SumDbSource& source, const Clock& clock);

  // The database's name, of its key.
  const std::string& name() const { return key_.name(); }

  // All of these: errors of the source as they are (kNotFound: the database does not know the module, or has no such tile), kCorrupt for
  // answers that do not verify, kInvalid for a module or version that no database can be asked for.

  // "h1:…" of a module's zip, or of its go.mod. Module and version as go.mod files write them, not escaped.
  Awaitable<Result<std::string>> hash_of(std::string module, std::string version, bool go_mod);

  // The body to answer a look-up with: the verified record and the newest head.
  Awaitable<Result<std::string>> lookup(std::string module, std::string version);

  // The body of a tile, "/tile/8/…", as wide as the path says. Tiles of a log newer than the newest head that is to be had are passed
  // through, not verified and not kept: the client that knows that head verifies them.
  Awaitable<Result<std::string>> tile(std::string path);

  // The newest head, a signed note. The database is asked at most once in latest_ttl; when it can not be reached, the head that
  // is known is given.
  Awaitable<Result<std::string>> latest();

 private:
  struct Head {
    Tree tree;
    std::string note;  // empty: none is known
  };
  enum class Origin { kMemory, kKept, kFetched };
  struct LoadedTile {
    std::string bytes;
    Origin origin = Origin::kFetched;
  };
  // Hashes that are proven to be in a tree, and by which tiles.
  struct ProvenNodes {
    std::vector<Hash> hashes;
    std::vector<Tile> tiles;
    std::vector<LoadedTile> contents;
  };
  struct Gathering;

  SumDb(VerifierKey key, const Settings& settings, SumDbSource& source, const Clock& clock);

  // sumdb.cpp
  Head newest() const;
  bool advance(const Tree& from, const Head& to);
  Result<Head> open_head(const std::string& note) const;
  Awaitable<Result<void>> merge(Head head);
  Awaitable<Result<void>> check_consistency(Head older, Head newer);
  Awaitable<Result<std::string>> record(std::string module, std::string version);
  Awaitable<Result<std::string>> read_record(std::string path, std::string module, std::string version);
  Awaitable<Result<std::string>> verified_record(std::string module, std::string version, std::string body, bool was_kept);
  Awaitable<Result<void>> check_inclusion(std::uint64_t id, std::string text);
  Awaitable<Result<std::string>> refresh();
  Error named(const Error& error) const;

  // sumdb_tiles.cpp
  Awaitable<Result<ProvenNodes>> read_nodes(Tree tree, std::vector<Node> nodes);
  Awaitable<Result<ProvenNodes>> read_nodes_once(TileReading plan, bool use_own);
  Awaitable<Result<std::vector<LoadedTile>>> load_tiles(std::vector<Tile> tiles, bool use_own);
  Awaitable<void> load_one(std::shared_ptr<Gathering> gathering, std::size_t position, bool use_kept);
  Awaitable<Result<LoadedTile>> load_tile(Tile tile, bool use_kept);
  Awaitable<std::optional<std::string>> kept_tile(Tile tile);
  Awaitable<Result<std::string>> fetch_tile(Tile tile);
  Awaitable<Result<std::string>> proven_tile(Tree tree, Tile tile);
  Awaitable<Result<std::string>> proven_data_tile(Tree tree, Tile tile);
  Awaitable<Result<std::string>> tile_body(std::string path);
  void keep_tiles(const ProvenNodes& proven);

  const VerifierKey key_;
  const std::chrono::milliseconds latest_ttl_;
  SumDbSource& source_;
  const Clock& clock_;
  VerifiedMemory memory_;
  SingleFlight<std::string> fetches_;  // by path: of tiles and of "/latest"
  SingleFlight<std::string> records_;  // by path: reading and verifying
  mutable std::mutex mutex_;           // guards what follows; never held over a co_await
  Head head_;
  std::optional<SteadyTime> asked_latest_;
};

}  // namespace cistern::verify
