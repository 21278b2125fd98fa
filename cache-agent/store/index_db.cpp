#include "cache-agent/store/index_db.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <iterator>
#include <utility>

#include "cache-agent/store/crc32c.hpp"
#include "cache-agent/store/key_glob.hpp"
#include "cache-agent/store/sqlite.hpp"

namespace cistern::store {
namespace {

constexpr auto kBatchInterval = std::chrono::milliseconds(50);
constexpr auto kRetryInterval = std::chrono::seconds(1);
// More than this is given up when the database can not be written: about as much memory as the index itself.
constexpr std::size_t kMostUnwritten = 1'000'000;

constexpr const char* kSettings = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY";
// Made once: a table that is missing later is damage.
constexpr std::uint64_t kSchema = 1;
constexpr const char* kMakeTables =
    "BEGIN;"
    "CREATE TABLE state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE blobs(id INTEGER PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL, file_size INTEGER NOT NULL,"
    " used INTEGER NOT NULL, sum INTEGER NOT NULL);"
    "CREATE TABLE metas(id INTEGER PRIMARY KEY, content_type TEXT NOT NULL, headers TEXT NOT NULL, sum INTEGER NOT NULL);"
    "CREATE TABLE keys(id INTEGER PRIMARY KEY, key TEXT NOT NULL, blob INTEGER NOT NULL, meta INTEGER NOT NULL,"
    " fetched INTEGER NOT NULL, sequence INTEGER NOT NULL, sum INTEGER NOT NULL);"
    "PRAGMA user_version=1; COMMIT";

std::string_view text_of(const Digest& digest) { return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()}; }

template <class T>
std::uint32_t add_number(std::uint32_t crc, T value) {
  return crc32c(crc, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
}

// Over what never changes in a row: `file_size`, `used` and `fetched` are left out; a wrong one costs a look or a revalidation.
std::uint32_t sum_of(const BlobRow& row) { return add_number(add_number(crc32c(0, text_of(row.digest)), row.id), row.size); }
std::uint32_t sum_of(const MetaRow& row) {
  const std::uint32_t crc = crc32c(add_number(0, row.id), row.meta.content_type);
  return crc32c(add_number(crc, row.meta.content_type.size()), row.meta.headers);
}
std::uint32_t sum_of(const KeyRow& row) {
  std::uint32_t crc = crc32c(crc32c(0, row.key), text_of(row.digest));
  crc = add_number(add_number(crc, row.id), row.blob);
  return add_number(add_number(crc, row.meta), row.sequence);
}

}  // namespace

class IndexDb::Connection {
 public:
  Result<void> open(const std::string& path) {
    if (auto done = database_.open(path); !done) return done;
    ::chmod(path.c_str(), 0600);  // before the side files are made, which take its mode
    if (auto done = database_.run(kSettings); !done) return done;
    if (auto done = make_tables(); !done) return done;
    const std::pair<Statement*, const char*> statements[] = {
        {&put_state, "INSERT OR REPLACE INTO state VALUES(?,?)"},
        {&put_blob, "INSERT OR REPLACE INTO blobs VALUES(?,?,?,?,?,?)"},
        {&put_meta, "INSERT OR REPLACE INTO metas VALUES(?,?,?,?)"},
        {&put_key, "INSERT OR REPLACE INTO keys VALUES(?,?,?,?,?,?,?)"},
        {&drop_blob, "DELETE FROM blobs WHERE id=?"},
        {&drop_meta, "DELETE FROM metas WHERE id=?"},
        {&drop_key, "DELETE FROM keys WHERE id=?"},
        {&set_used, "UPDATE blobs SET used=? WHERE id=?"},
        {&set_fetched, "UPDATE keys SET fetched=? WHERE id=?"},
    };
    for (const auto& [statement, sql] : statements) {
      if (auto done = statement->prepare(database_, sql); !done) return done;
    }
    return {};
  }

  Result<void> run(const char* sql) { return database_.run(sql); }
  Database& database() { return database_; }

  Result<void> set_state(std::string_view name, std::uint64_t value) { return step(put_state.bind(1, name).bind(2, value)); }

  Result<void> apply(const Change& change) {
    if (const auto* blob = std::get_if<BlobRow>(&change)) {
      put_blob.bind(1, blob->id).bind_blob(2, text_of(blob->digest)).bind(3, blob->size).bind(4, blob->file_size);
      return step(put_blob.bind(5, blob->used).bind(6, sum_of(*blob)));
    }
    if (const auto* meta = std::get_if<MetaRow>(&change)) {
      return step(put_meta.bind(1, meta->id).bind(2, meta->meta.content_type).bind(3, meta->meta.headers).bind(4, sum_of(*meta)));
    }
    if (const auto* key = std::get_if<KeyRow>(&change)) {
      put_key.bind(1, key->id).bind(2, std::string_view(key->key)).bind(3, key->blob).bind(4, key->meta);
      return step(put_key.bind(5, key->fetched).bind(6, key->sequence).bind(7, sum_of(*key)));
    }
    if (const auto* drop = std::get_if<Drop>(&change)) {
      Statement& statement = drop->table == Table::kBlobs ? drop_blob : drop->table == Table::kMetas ? drop_meta : drop_key;
      return step(statement.bind(1, drop->id));
    }
    const auto& set = std::get<Set>(change);
    Statement& statement = set.table == Table::kBlobs ? set_used : set_fetched;
    return step(statement.bind(1, set.time).bind(2, set.id));
  }

 private:
  Result<void> make_tables() {
    Statement version;
    if (auto done = version.prepare(database_, "PRAGMA user_version"); !done) return done;
    const auto row = version.step();
    if (!row) return fail(row.error());
    if (*row && version.number(0) == kSchema) return {};
    version.reset();
    return database_.run(kMakeTables);
  }

  static Result<void> step(Statement& statement) {
    auto stepped = statement.step();
    if (!stepped) return fail(std::move(stepped.error()));
    return {};
  }

  Database database_;  // before the statements: destroyed after them
  Statement put_state, put_blob, put_meta, put_key, drop_blob, drop_meta, drop_key, set_used, set_fetched;
};

IndexDb::IndexDb(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

IndexDb::~IndexDb() { close(false); }

Result<std::unique_ptr<IndexDb>> IndexDb::open(const std::string& path) {
  auto connection = std::make_unique<Connection>();
  if (auto done = connection->open(path); !done) return fail(std::move(done.error()));
  return std::unique_ptr<IndexDb>(new IndexDb(std::move(connection)));
}

void IndexDb::remove(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((path + suffix).c_str());
}

Result<IndexDb::State> IndexDb::load(Index& index) {
  const std::lock_guard lock(connection_mutex_);
  Statement states, blobs, metas, keys;
  const std::pair<Statement*, const char*> statements[] = {
      {&states, "SELECT name, value FROM state"},
      {&blobs, "SELECT id, size, file_size, used, sum, digest FROM blobs ORDER BY id"},
      {&metas, "SELECT id, sum, content_type, headers FROM metas ORDER BY id"},
      {&keys, "SELECT id, blob, meta, fetched, sequence, sum, key FROM keys ORDER BY id"},
  };
  for (const auto& [statement, sql] : statements) {
    if (auto done = statement->prepare(connection_->database(), sql); !done) return fail(std::move(done.error()));
  }
  // Calls `take` for each row; false from it means a row that can not be.
  const auto each = [](Statement& statement, std::string_view table, auto take) -> Result<void> {
    for (;;) {
      const auto more = statement.step();
      if (!more) return fail(more.error());
      if (!*more) return {};
      if (!take(statement)) return fail(ErrorCode::kCorrupt, "a row of the table {} is damaged", table);
    }
  };

  State state;
  auto read = each(states, "state", [&](const Statement& row) {
    if (row.bytes(0) == "complete") state.complete = row.number(1) == 1;
    if (row.bytes(0) == "clean") state.clean = row.number(1) == 1;
    if (row.bytes(0) == "epoch") state.epoch = row.number(1);
    return true;
  });
  if (read) {
    read = each(blobs, "blobs", [&](const Statement& row) {
      BlobRow blob{static_cast<std::uint32_t>(row.number(0)), {}, row.number(1), row.number(2), static_cast<std::uint32_t>(row.number(3))};
      if (row.bytes(5).size() != blob.digest.bytes.size()) return false;
      std::memcpy(blob.digest.bytes.data(), row.bytes(5).data(), blob.digest.bytes.size());
      return row.number(4) == sum_of(blob) && index.load_blob(blob);
    });
  }
  if (read) {
    read = each(metas, "metas", [&](const Statement& row) {
      MetaRow meta{static_cast<std::uint32_t>(row.number(0)), {std::string(row.bytes(2)), std::string(row.bytes(3))}};
      return row.number(1) == sum_of(meta) && index.load_meta(std::move(meta));
    });
  }
  if (read) {
    KeyRow key;
    read = each(keys, "keys", [&](const Statement& row) {
      key.id = static_cast<std::uint32_t>(row.number(0));
      key.key.assign(row.bytes(6));
      key.blob = static_cast<std::uint32_t>(row.number(1));
      key.meta = static_cast<std::uint32_t>(row.number(2));
      key.fetched = static_cast<std::uint32_t>(row.number(3));
      key.sequence = row.number(4);
      const Digest* digest = index.loaded_blob(key.blob);
      if (digest == nullptr) return false;
      key.digest = *digest;
      return row.number(5) == sum_of(key) && index.load_key(key);
    });
  }
  if (!read) return fail(std::move(read.error()));
  index.finish_loading();
  return state;
}

Result<void> IndexDb::start(std::uint64_t epoch, bool complete) {
  {
    const std::lock_guard lock(connection_mutex_);
    Result<void> done = connection_->run("PRAGMA synchronous=FULL; BEGIN IMMEDIATE");
    if (done) done = connection_->set_state("epoch", epoch);
    if (done) done = connection_->set_state("complete", complete ? 1 : 0);
    if (done) done = connection_->set_state("clean", 0);
    if (done) done = connection_->run("COMMIT; PRAGMA synchronous=NORMAL; PRAGMA wal_checkpoint(TRUNCATE)");
    if (!done) return done;
  }
  follower_ = std::thread(&IndexDb::follow, this);
  return {};
}

Result<void> IndexDb::set_complete(std::uint64_t epoch) {
  const std::lock_guard lock(connection_mutex_);
  if (auto written = write_pending(Wait::kWritten); !written) return written;
  Result<void> done = connection_->run("PRAGMA synchronous=FULL; BEGIN IMMEDIATE");
  if (done) done = connection_->set_state("epoch", epoch);
  if (done) done = connection_->set_state("complete", 1);
  if (done) done = connection_->run("COMMIT");
  static_cast<void>(connection_->run("PRAGMA synchronous=NORMAL"));
  return done;
}

void IndexDb::tell(Change change) {
  bool first = false;
  {
    const std::lock_guard lock(told_mutex_);
    first = told_.empty();
    told_.push_back(std::move(change));
  }
  if (first) wake_.notify_one();
}

void IndexDb::follow() {
  bool failing = false;
  for (;;) {
    {
      std::unique_lock lock(told_mutex_);
      const auto stopping = [this] { return stopping_; };
      if (failing) {
        wake_.wait_for(lock, kRetryInterval, stopping);
      } else {
        wake_.wait(lock, [this] { return stopping_ || !told_.empty(); });
        wake_.wait_for(lock, kBatchInterval, stopping);  // more will come
      }
      if (stopping_) return;
    }
    const std::lock_guard lock(connection_mutex_);
    const auto written = write_pending(Wait::kWritten);
    if (!written && !failing) spdlog::warn("store: the index can not be written, trying on: {}", written.error().message);
    if (written && failing) spdlog::info("store: the index can be written again");
    failing = !written;
  }
}

Result<void> IndexDb::write_pending(Wait wait) {
  {
    const std::lock_guard lock(told_mutex_);
    if (unwritten_.empty()) {
      unwritten_.swap(told_);
    } else {
      unwritten_.insert(unwritten_.end(), std::make_move_iterator(told_.begin()), std::make_move_iterator(told_.end()));
      told_.clear();
    }
  }
  if (unwritten_.empty() && wait == Wait::kWritten) return {};
  const bool durable = wait == Wait::kDurable;
  Result<void> done = connection_->run(durable ? "PRAGMA synchronous=FULL; BEGIN IMMEDIATE" : "BEGIN IMMEDIATE");
  if (done && durable) done = connection_->set_state("clean", 0);  // a write, so that there is something to sync
  for (auto change = unwritten_.begin(); done && change != unwritten_.end(); ++change) done = connection_->apply(*change);
  if (done) done = connection_->run("COMMIT");
  if (durable) static_cast<void>(connection_->run("PRAGMA synchronous=NORMAL"));
  if (done) {
    unwritten_.clear();
    return {};
  }
  static_cast<void>(connection_->run("ROLLBACK"));
  if (unwritten_.size() > kMostUnwritten) {
    unwritten_.clear();
    lost_ = true;
  }
  return done;
}

Result<void> IndexDb::flush(Wait wait) {
  const std::lock_guard lock(connection_mutex_);
  if (!connection_) return {};
  return write_pending(wait);
}

Result<std::vector<std::string>> IndexDb::keys_matching(std::string_view glob) {
  const std::lock_guard lock(connection_mutex_);
  if (lost_)
    return fail(ErrorCode::kUnavailable, "the index on disk is incomplete, since it could not be written; restart to have it completed");
  Statement keys;
  if (auto done = keys.prepare(connection_->database(), "SELECT key FROM keys"); !done) return fail(std::move(done.error()));
  std::vector<std::string> found;
  for (;;) {
    const auto more = keys.step();
    if (!more) return fail(more.error());
    if (!*more) return found;
    if (matches_key_glob(glob, keys.bytes(0))) found.emplace_back(keys.bytes(0));
  }
}

void IndexDb::close(bool clean) {
  {
    const std::lock_guard lock(told_mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (follower_.joinable()) follower_.join();
  const std::lock_guard lock(connection_mutex_);
  if (!connection_) return;
  auto written = write_pending(Wait::kWritten);
  if (written && clean && !lost_) written = connection_->set_state("clean", 1);
  if (!written)
    spdlog::warn("store: the index could not be written at the end; it will be completed from the files: {}", written.error().message);
  static_cast<void>(connection_->run("PRAGMA wal_checkpoint(TRUNCATE)"));
  connection_.reset();
}

}  // namespace cistern::store
