// The index on disk: an SQLite database in WAL mode that follows the index in memory, off every request's path.
//
// It may lag: the blob files are the truth, and what a crash took from it is found again from them (recovery.hpp). So it commits without
// waiting for the disk, in batches, on a thread of its own, and only flush(kDurable) waits. Rows carry checksums, since a row damaged in
// place would be a right that nobody gave.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "cache-agent/store/index.hpp"

struct sqlite3;

namespace cistern::store {

class IndexDb final : public IndexListener {
 public:
  // What the database says of itself.
  struct State {
    bool complete = false;    // every blob file was in it once; false for a new database, or one whose rebuilding was cut off
    bool clean = false;       // nothing has been written since that it may not know of
    std::uint64_t epoch = 0;  // number of the last session, see start()
  };
  enum class Wait { kWritten, kDurable };  // survives kill -9 of this process; survives power loss

  // Opens or makes the database at `path`, mode 0600. kCorrupt: it is no database, or not ours.
  static Result<std::unique_ptr<IndexDb>> open(const std::string& path);
  // Removes the database with its side files.
  static void remove(const std::string& path);
  ~IndexDb() override;

  // Reads every row. kCorrupt if anything is wrong; then `index` is half filled and useless.
  Result<State> load(Index& index);
  // Notes, durably, that a session with this epoch has begun, and begins to follow the index.
  Result<void> start(std::uint64_t epoch, bool complete);
  // Every blob file is in it now, and this session has another number.
  Result<void> set_complete(std::uint64_t epoch);

  // Writes all that was told so far.
  Result<void> flush(Wait wait);
  // Every key that matches the glob (see key_glob.hpp), of those that are written.
  Result<std::vector<std::string>> keys_matching(std::string_view glob);
  // Stops following and writes what is left. With `clean`, and if nothing was lost, notes that it agrees with the files.
  void close(bool clean);

  void put_blob(const BlobRow& row) override { tell(row); }
  void drop_blob(std::uint32_t id) override { tell(Drop{Table::kBlobs, id}); }
  void put_meta(const MetaRow& row) override { tell(row); }
  void drop_meta(std::uint32_t id) override { tell(Drop{Table::kMetas, id}); }
  void put_key(KeyRow row) override { tell(std::move(row)); }
  void drop_key(std::uint32_t id) override { tell(Drop{Table::kKeys, id}); }
  void set_fetched(std::uint32_t key, std::uint32_t fetched) override { tell(Set{Table::kKeys, key, fetched}); }
  void set_used(std::uint32_t blob, std::uint32_t used) override { tell(Set{Table::kBlobs, blob, used}); }

 private:
  enum class Table { kBlobs, kMetas, kKeys };
  struct Drop {
    Table table;
    std::uint32_t id;
  };
  struct Set {  // fetched of a key, or use of a blob
    Table table;
    std::uint32_t id;
    std::uint32_t time;
  };
  using Change = std::variant<BlobRow, MetaRow, KeyRow, Drop, Set>;
  class Connection;
  class Batch;

  explicit IndexDb(std::unique_ptr<Connection> connection);
  void tell(Change change);
  void follow();
  // With connection_mutex_ held.
  Result<void> write_pending(Wait wait);

  std::mutex connection_mutex_;
  std::unique_ptr<Connection> connection_;
  std::deque<Change> unwritten_;  // taken from told_, not in the database yet
  bool lost_ = false;             // changes were given up: the database does not agree with the files any more

  std::mutex told_mutex_;
  std::condition_variable wake_;
  std::deque<Change> told_;
  bool stopping_ = false;
  std::thread follower_;
};

}  // namespace cistern::store
