// A crash at every change of every operation, with every index that may be left, and every way in which a disk may forget.

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cache-agent/store/disk_store.hpp"
#include "cache-agent/store/sqlite.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/fakes/manual_clock.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::store {
namespace {

namespace fs = std::filesystem;
using fakes::FaultyDisk;

enum class IndexLeft { kBehind, kUpToDate, kDeleted, kGarbage };

const std::string kOld = "the old body", kNew = "the new body", kShared(50'000, 's');

struct Operation {
  std::string name;
  std::function<bool(Store&)> run;                          // whether it said that it is done
  std::map<std::string, std::optional<std::string>> after;  // what it changes; the rest is as before
};

KeyRecord key(std::string name) { return {std::move(name), {"t", ""}, WallTime(std::chrono::seconds(1))}; }

const std::map<std::string, std::optional<std::string>> kBefore = {
    {"list", kOld}, {"tag", kShared}, {"digest", kShared}, {"new", std::nullopt}, {"other", std::nullopt}};

void set_up(Store& store) {
  ASSERT_TRUE(store.put(kOld, key("list")).has_value());
  ASSERT_TRUE(store.put(kShared, key("tag")).has_value());
  ASSERT_TRUE(store.link(Sha256::of(kShared), key("digest")).has_value());
  store.flush();
}

std::vector<Operation> operations() {
  return {
      {"a commit", [](Store& s) { return s.put(kNew, key("new")).has_value(); }, {{"new", kNew}}},
      {"a commit of bytes that are there", [](Store& s) { return s.put(kShared, key("new")).has_value(); }, {{"new", kShared}}},
      {"a re-pointing that drops a blob", [](Store& s) { return s.put(kNew, key("list")).has_value(); }, {{"list", kNew}}},
      {"a re-pointing that leaves a blob", [](Store& s) { return s.put(kNew, key("tag")).has_value(); }, {{"tag", kNew}}},
      {"a link", [](Store& s) { return s.link(Sha256::of(kShared), key("other")).has_value(); }, {{"other", kShared}}},
      {"an erasure of one key of two", [](Store& s) { return s.erase("tag"), true; }, {{"tag", std::nullopt}}},
      {"an erasure of the only key", [](Store& s) { return s.erase("list"), true; }, {{"list", std::nullopt}}},
      {"a purge",
       [](Store& s) { return s.purge("*t*").has_value(); },
       {{"list", std::nullopt}, {"tag", std::nullopt}, {"digest", std::nullopt}}},
  };
}

std::optional<std::string> read(Store& store, std::string_view name) {
  const auto entry = store.find(name);
  if (!entry) return std::nullopt;
  const auto slice = store.open(*entry);
  if (!slice) return std::nullopt;
  if (const auto* memory = std::get_if<MemorySlice>(&*slice)) return std::string(memory->bytes);
  const auto& file = std::get<FileSlice>(*slice);
  std::string text(file.length, '\0');
  EXPECT_EQ(::pread(file.file->descriptor(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return text;
}

std::string summary(const std::optional<std::string>& body) { return body ? body->substr(0, 20) : "(absent)"; }

class Crash {
 public:
  // Runs the operation with a crash at its `step`th change; false if it has fewer.
  bool run(const Operation& operation, std::uint64_t step, IndexLeft left, FaultyDisk::Survives survives) {
    EXPECT_TRUE(DiskStore::open(options_, clock_, make_disk()).has_value());  // makes the folders
    const auto disk = std::make_shared<FaultyDisk>(options_.path / "blobs");
    bool said_done = false, stopped = false;
    {
      auto store = DiskStore::open(options_, clock_, disk);
      set_up(**store);
      save_index();
      disk->stop_at(step);
      said_done = operation.run(**store);
      stopped = disk->stopped();
      disk->stop_at(stopped ? 1 : 0);
    }
    if (!stopped) return false;
    disk->crash(survives);
    leave(left);
    check(operation, said_done && operation.name.find("erasure") == std::string::npos);
    return true;
  }

  // The operation is done, and then the power goes.
  void run_then_crash(const Operation& operation, IndexLeft left, FaultyDisk::Survives survives) {
    EXPECT_TRUE(DiskStore::open(options_, clock_, make_disk()).has_value());
    const auto disk = std::make_shared<FaultyDisk>(options_.path / "blobs");
    {
      auto store = DiskStore::open(options_, clock_, disk);
      set_up(**store);
      save_index();
      EXPECT_TRUE(operation.run(**store));
      if (operation.after.begin()->second == std::nullopt) save_index();  // what is erased leaves the index before it returns
      disk->stop_at(1);
    }
    disk->crash(survives);
    leave(left);
    check(operation, true);
  }

 private:
  void save_index() {
    fs::create_directories(saved_);
    for (const char* name : {"index.db", "index.db-wal"}) {
      fs::remove(saved_ / name);
      if (fs::exists(options_.path / name)) fs::copy_file(options_.path / name, saved_ / name);
    }
  }

  void leave(IndexLeft left) {
    const fs::path index = options_.path / "index.db";
    if (left == IndexLeft::kUpToDate) {
      Database database;
      ASSERT_TRUE(database.open(index).has_value());
      ASSERT_TRUE(database.run("UPDATE state SET value=0 WHERE name='clean'").has_value());
      return;
    }
    IndexDb::remove(index);
    if (left == IndexLeft::kGarbage) std::ofstream(index) << std::string(10'000, 'x');
    if (left == IndexLeft::kBehind) fs::copy(saved_, options_.path);
  }

  void check(const Operation& operation, bool must_be_done) {
    {
      auto store = DiskStore::open(options_, clock_, make_disk());
      ASSERT_TRUE(store.has_value()) << store.error().message;
      (*store)->wait_until_reconciled();
      for (const auto& [name, before] : kBefore) {
        const auto changed = operation.after.find(name);
        const auto now = read(**store, name);
        if (changed == operation.after.end()) {
          EXPECT_TRUE(now == before) << name << " is " << summary(now);
        } else if (must_be_done) {
          EXPECT_TRUE(now == changed->second) << name << " is " << summary(now);
        } else {
          EXPECT_TRUE(now == before || now == changed->second) << name << " is " << summary(now);
        }
      }
      // The store goes on working, also for what was hit.
      EXPECT_TRUE((*store)->put("later", key("list")).has_value());
      EXPECT_EQ(read(**store, "list"), "later");
    }
    const auto report = check_disk_store(options_.path, {});
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(report->problems, std::vector<std::string>{});
  }

  fakes::TemporaryFolder folder_{fakes::Medium::kMemory};
  fakes::ManualClock clock_;
  const DiskOptions options_{.path = folder_.path() / "store", .size = mib(8), .min_free_percent = 0, .memory = kib(256)};
  const fs::path saved_ = folder_.path() / "saved";
};

constexpr IndexLeft kIndexes[] = {IndexLeft::kBehind, IndexLeft::kUpToDate, IndexLeft::kDeleted, IndexLeft::kGarbage};
constexpr FaultyDisk::Survives kSurvives[] = {FaultyDisk::Survives::kEverything, FaultyDisk::Survives::kOnlySynced,
                                              FaultyDisk::Survives::kNamesAndHalf};

TEST(StoreCrash, AtEveryStepLeavesEachEntryWholeOrGone) {
  for (const Operation& operation : operations()) {
    for (const IndexLeft left : kIndexes) {
      for (const FaultyDisk::Survives survives : kSurvives) {
        for (std::uint64_t step = 1;; ++step) {
          SCOPED_TRACE(
              fmt::format("{}, step {}, index {}, survives {}", operation.name, step, static_cast<int>(left), static_cast<int>(survives)));
          if (!Crash().run(operation, step, left, survives) || testing::Test::HasFailure()) break;
        }
      }
    }
  }
}

TEST(StoreCrash, AfterAnOperationLosesNothingOfIt) {
  for (const Operation& operation : operations()) {
    for (const IndexLeft left : kIndexes) {
      for (const FaultyDisk::Survives survives : kSurvives) {
        SCOPED_TRACE(fmt::format("{}, index {}, survives {}", operation.name, static_cast<int>(left), static_cast<int>(survives)));
        Crash().run_then_crash(operation, left, survives);
      }
    }
  }
}

}  // namespace
}  // namespace cistern::store
