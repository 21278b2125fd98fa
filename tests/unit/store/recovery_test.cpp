// Opening a store whose folder is not as it was left, and a disk that is full.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>

#include "cache-agent/store/disk_store.hpp"
#include "cache-agent/store/sqlite.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/fakes/manual_clock.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

KeyRecord key(std::string name, int fetched = 1) { return {std::move(name), {"t", ""}, WallTime(std::chrono::seconds(fetched))}; }

class StoreRecovery : public testing::Test {
 protected:
  Result<std::unique_ptr<DiskStore>> try_open() { return DiskStore::open(options_, clock_, disk_); }
  void open() {
    store_.reset();
    auto opened = try_open();
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store_ = std::move(*opened);
    store_->wait_until_reconciled();
  }
  void close() { store_.reset(); }
  // As after kill -9, but with everything in the index.
  void close_uncleanly() {
    close();
    run_sql("UPDATE state SET value=0 WHERE name='clean'");
  }
  void put(const std::string& body, const std::string& name) {
    const auto done = store_->put(body, key(name));
    ASSERT_TRUE(done.has_value()) << done.error().message;
    clock_.advance(std::chrono::minutes(20));
  }
  std::optional<std::string> read(std::string_view name) {
    const auto entry = store_->find(name);
    if (!entry) return std::nullopt;
    const auto slice = store_->open(*entry);
    if (!slice) return std::nullopt;
    if (const auto* memory = std::get_if<MemorySlice>(&*slice)) return std::string(memory->bytes);
    const auto& file = std::get<FileSlice>(*slice);
    std::string text(file.length, '\0');
    EXPECT_EQ(::pread(file.file->descriptor(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }
  fs::path file_of(std::string_view body) const {
    const std::string hex = Sha256::of(body).hex();
    return options_.path / "blobs" / hex.substr(0, 2) / hex.substr(2);
  }
  static void write(const fs::path& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }
  void run_sql(const char* sql) {
    Database database;
    ASSERT_TRUE(database.open(options_.path / "index.db").has_value());
    const auto done = database.run(sql);
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  std::vector<std::string> problems() {
    const auto report = check_disk_store(options_.path, {});
    return report ? report->problems : std::vector<std::string>{report.error().message};
  }

  fakes::TemporaryFolder folder_{fakes::Medium::kMemory};
  fakes::ManualClock clock_;
  DiskOptions options_{.path = folder_.path() / "store", .size = mib(8), .min_free_percent = 0, .memory = kib(256)};
  std::shared_ptr<Disk> disk_ = make_disk();
  std::unique_ptr<DiskStore> store_;
};

TEST_F(StoreRecovery, AClosedStoreComesBackAsItWas) {
  open();
  put("body", "k");
  ASSERT_TRUE(store_->link(Sha256::of("body"), key("l", 7)).has_value());
  put(std::string(100'000, 'x'), "large");
  store_->touch("k", WallTime(std::chrono::seconds(9)));
  const Stats before = store_->stats();
  open();
  EXPECT_EQ(read("k"), "body");
  EXPECT_EQ(read("large"), std::string(100'000, 'x'));
  EXPECT_EQ(store_->find("k")->fetched.time_since_epoch().count(), 9);
  EXPECT_EQ(store_->find("l")->fetched.time_since_epoch().count(), 7);
  EXPECT_EQ(store_->find("l")->meta->content_type, "t");
  EXPECT_EQ(store_->stats().bytes, before.bytes);
  EXPECT_EQ(store_->stats().objects, 3U);
  close();
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

TEST_F(StoreRecovery, TheOrderOfUseComesBackToo) {
  options_.size = kib(400);
  open();
  for (const char* name : {"a", "b", "c"}) put(std::string(100'000, *name), name);
  ASSERT_TRUE(store_->find("a").has_value());
  open();
  put(std::string(150'000, 'd'), "d");
  EXPECT_TRUE(store_->find("a").has_value());
  EXPECT_FALSE(store_->find("b").has_value());
}

TEST_F(StoreRecovery, AMissingIndexIsMadeFromTheFiles) {
  open();
  put("v1", "tag");
  ASSERT_TRUE(store_->link(Sha256::of("v1"), key("digest")).has_value());
  put("v2", "tag");
  put("gone", "purged");
  store_->erase("purged");
  close();
  IndexDb::remove(options_.path / "index.db");
  open();
  EXPECT_EQ(read("tag"), "v2");
  EXPECT_EQ(read("digest"), "v1");
  EXPECT_FALSE(read("purged").has_value());
  close();
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

TEST_F(StoreRecovery, AnIndexThatIsNoDatabaseIsMadeAnew) {
  open();
  put("body", "k");
  close();
  write(options_.path / "index.db", std::string(50'000, 'x'));
  open();
  EXPECT_EQ(read("k"), "body");
}

TEST_F(StoreRecovery, ARowDamagedInPlaceGivesNobodyARight) {
  for (const char* damage : {"UPDATE keys SET key='view/b/x'", "UPDATE keys SET blob=1-blob", "UPDATE blobs SET size=1",
                             "UPDATE metas SET content_type='evil'", "DELETE FROM metas", "DROP TABLE keys"}) {
    SCOPED_TRACE(damage);
    open();
    put("secret", "view/a/x");
    put("public", "view/a/y");
    close();
    run_sql("DELETE FROM keys WHERE key='view/a/y'");
    run_sql(damage);
    open();
    EXPECT_EQ(read("view/a/x"), "secret");
    EXPECT_EQ(read("view/a/y"), "public") << "found again in the files, once the damage was noticed";
    EXPECT_FALSE(read("view/b/x").has_value());
    EXPECT_EQ(store_->find("view/a/x")->meta->content_type, "t");
    ASSERT_TRUE(store_->purge("*").has_value());
  }
}

TEST_F(StoreRecovery, ARebuildingThatWasInterruptedIsBegunAgain) {
  open();
  put("one", "a");
  put("two", "b");
  close();
  run_sql("UPDATE state SET value=0 WHERE name='complete'; DELETE FROM keys WHERE key='b'; DELETE FROM blobs WHERE id=1");
  open();
  EXPECT_EQ(read("a"), "one");
  EXPECT_EQ(read("b"), "two");
}

TEST_F(StoreRecovery, ARowWithoutAFileIsAMissAndIsDropped) {
  open();
  put("body", "k");
  put("other", "l");
  close_uncleanly();
  fs::remove(file_of("body"));
  open();
  EXPECT_FALSE(store_->find("k").has_value());
  EXPECT_EQ(read("l"), "other");
  EXPECT_EQ(store_->stats().blobs, 1U);
}

TEST_F(StoreRecovery, AFileThatIsGoneUnderACleanIndexIsAMissWhenItIsOpened) {
  open();
  put("body", "k");
  close();
  fs::remove(file_of("body"));
  open();
  const auto entry = store_->find("k");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(store_->open(*entry).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(store_->find("k").has_value());
  put("body", "k");
  EXPECT_EQ(read("k"), "body");
}

TEST_F(StoreRecovery, ATruncatedBlobIsAMissWhenItIsOpened) {
  const std::string body(100'000, 'x');
  open();
  put(body, "k");
  close();
  fs::resize_file(file_of(body), 99'000);
  EXPECT_THAT(problems(), testing::Contains(HasSubstr("no record at its end")));
  open();
  const auto entry = store_->find("k");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(store_->open(*entry).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(store_->find("k").has_value());
  EXPECT_FALSE(fs::exists(file_of(body)));
}

TEST_F(StoreRecovery, AFlippedBitInASmallBodyIsAMissAndInALargeOneIsFoundByTheCheck) {
  const std::string large(100'000, 'x');
  open();
  put("small", "s");
  put(large, "l");
  close();
  for (const std::string& body : {std::string("small"), large}) {
    std::string bytes = fakes::read_file(file_of(body));
    bytes[2] ^= 1;
    write(file_of(body), bytes);
  }
  EXPECT_EQ(problems().size(), 2U);
  open();
  EXPECT_FALSE(read("s").has_value());
  EXPECT_FALSE(store_->find("s").has_value());
}

TEST_F(StoreRecovery, ADamagedRecordLosesItsOwnKeysOnly) {
  open();
  put("body", "first");
  const auto whole = fs::file_size(file_of("body"));
  ASSERT_TRUE(store_->link(Sha256::of("body"), key("second")).has_value());
  close();
  IndexDb::remove(options_.path / "index.db");
  std::string bytes = fakes::read_file(file_of("body"));
  bytes[whole - 20] ^= 1;
  write(file_of("body"), bytes);
  open();
  EXPECT_FALSE(read("first").has_value());
  EXPECT_EQ(read("second"), "body");
}

TEST_F(StoreRecovery, ATornLinkIsCutAndTheNextOneHolds) {
  open();
  put("body", "first");
  const auto whole = fs::file_size(file_of("body"));
  ASSERT_TRUE(store_->link(Sha256::of("body"), key("second")).has_value());
  close_uncleanly();
  fs::resize_file(file_of("body"), whole + 30);
  open();
  EXPECT_EQ(read("first"), "body");
  EXPECT_FALSE(read("second").has_value());
  EXPECT_EQ(fs::file_size(file_of("body")), whole);
  ASSERT_TRUE(store_->link(Sha256::of("body"), key("third")).has_value());
  close();
  IndexDb::remove(options_.path / "index.db");
  open();
  EXPECT_EQ(read("third"), "body");
}

TEST_F(StoreRecovery, LeftoversOfUnfinishedWritesAreRemoved) {
  open();
  close();
  write(options_.path / "tmp" / "17", "half");
  open();
  EXPECT_TRUE(fs::is_empty(options_.path / "tmp"));
}

TEST_F(StoreRecovery, FilesAreForTheirOwnerOnly) {
  open();
  put("body", "k");
  struct stat status {};
  for (const fs::path& path : {file_of("body"), options_.path / "index.db", options_.path / "LOCK"}) {
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U) << path;
  }
  ASSERT_EQ(::stat((options_.path / "blobs").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
}

TEST_F(StoreRecovery, ErrorsOfOpeningSayWhatToDo) {
  open();
  const auto second = try_open();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("in use by process " + std::to_string(::getpid())));
  close();

  write(options_.path / "VERSION", "99\n");
  EXPECT_THAT(try_open().error().message, HasSubstr("has the store format '99'"));

  options_.path = folder_.path() / "file";
  write(options_.path, "x");
  EXPECT_THAT(try_open().error().message, HasSubstr("is not a folder"));

  options_.path = folder_.path() / "mine";
  fs::create_directory(options_.path);
  write(options_.path / "thesis.txt", "x");
  EXPECT_THAT(try_open().error().message, HasSubstr("there is thesis.txt in it"));

  options_.path = "/proc/cistern";
  EXPECT_FALSE(try_open().has_value());
}

TEST_F(StoreRecovery, AFullDiskIsMetByEviction) {
  open();
  put(std::string(100'000, 'a'), "a");
  put(std::string(100'000, 'b'), "b");
  close();
  const auto disk = std::make_shared<fakes::FaultyDisk>(options_.path / "blobs");
  disk_ = disk;
  open();
  disk->fill_up(2);
  put("new", "c");
  EXPECT_EQ(read("c"), "new");
  EXPECT_FALSE(store_->find("a").has_value());
  disk->fill_up(100);
  auto writer = store_->begin(3);
  ASSERT_TRUE(writer.has_value());
  EXPECT_EQ((*writer)->append(std::as_bytes(std::span(std::string_view("abc")))).error().code, ErrorCode::kNoSpace);
  writer->reset();
  EXPECT_EQ(store_->stats().reserved, 0U);
}

// On a file system of 4 MiB with a quota that is larger: in a child with mounts of its own.
TEST_F(StoreRecovery, ARealFullFileSystemIsServedByEvictionAndKeepsNothingHalf) {
  const fs::path mount = folder_.path() / "mount";
  fs::create_directory(mount);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=4m") != 0) {
      ::_exit(77);
    }
    options_ = {.path = mount / "store", .size = mib(64), .min_free_percent = 10, .memory = kib(64)};
    auto opened = try_open();
    if (!opened) ::_exit(1);
    for (int i = 0; i < 20; ++i) {
      if (!(*opened)->put(std::string(500'000, static_cast<char>('a' + i)), key(std::to_string(i)))) ::_exit(2);
    }
    if ((*opened)->stats().evictions == 0 || !(*opened)->find("19")) ::_exit(3);
    const auto huge = (*opened)->put(std::string(5'000'000, 'x'), key("huge"));
    if (huge || huge.error().code != ErrorCode::kNoSpace || (*opened)->stats().reserved != 0) ::_exit(4);
    opened->reset();
    ::_exit(problems().empty() ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs root, to mount a small file system";
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace cistern::store
