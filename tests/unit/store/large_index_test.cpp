// A million objects: how much processor time the store takes to be ready, what they weigh in memory, how fast they are found. The figures
// are printed; the bounds are generous, for machines that are busy or whose build is instrumented.

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>

#include "cache-agent/store/disk_store.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::store {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kInstrumented = true;
constexpr std::uint32_t kObjects = 50'000;
#else
constexpr bool kInstrumented = false;
constexpr std::uint32_t kObjects = 1'000'000;
#endif

// Of this process, not of the wall: other tests may be running beside it.
double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double resident_bytes() {
  ::malloc_trim(0);
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

std::string key_of(std::uint32_t i) {
  return "go/default/github.com/some-organisation/some-module-" + std::to_string(i) + "/@v/v1.2.3.mod";
}

Digest digest_of(std::uint32_t i) {
  Digest digest;
  std::uint64_t x = i;
  for (std::size_t at = 0; at < 32; at += 8) {
    x = (x + 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 29;
    std::memcpy(digest.bytes.data() + at, &x, 8);
  }
  return digest;
}

TEST(LargeStore, AMillionObjectsLoadInSecondsAndWeighAtMost200BytesEach) {
  const fakes::TemporaryFolder folder{fakes::Medium::kMemory};
  const SystemClock clock;
  const DiskOptions options{.path = folder.path() / "store", .size = gib(1000), .min_free_percent = 0, .memory = mib(1)};
  { ASSERT_TRUE(DiskStore::open(options, clock, make_disk()).has_value()); }
  {
    auto db = IndexDb::open(options.path / "index.db");
    ASSERT_TRUE(db.has_value());
    Index index(db->get(), clock);
    for (std::uint32_t i = 0; i < kObjects; ++i) {
      const RecordEntry entry{false, i, {key_of(i), {"text/plain", ""}, WallTime(std::chrono::seconds(1))}};
      index.insert(digest_of(i), {1000, 1200}, {&entry, 1});
      if (i % 10'000 == 9'999) {
        ASSERT_TRUE((*db)->flush(IndexDb::Wait::kWritten).has_value());
      }
    }
    (*db)->close(true);
  }
  const double before = resident_bytes();
  const auto start = processor_seconds();
  auto store = DiskStore::open(options, clock, make_disk());
  const double took = processor_seconds() - start;
  ASSERT_TRUE(store.has_value()) << store.error().message;
  const double weight = (resident_bytes() - before) / kObjects;
  ASSERT_EQ((*store)->stats().objects, kObjects);

  const auto find_start = processor_seconds();
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < kObjects; ++i) found += (*store)->find(key_of(i * 7919U % kObjects)).has_value() ? 1 : 0;
  const double finds = kObjects / (processor_seconds() - find_start);
  EXPECT_EQ(found, kObjects);
  std::cout << kObjects << " objects: loaded in " << took << " s of processor time, " << weight << " bytes each, " << finds / 1e6
            << " million cold finds/s\n";
  EXPECT_LT(took, 20.0);
  if (!kInstrumented) {
    EXPECT_LT(weight, 200.0);
  }
}

TEST(LargeStore, AHotSmallKeyIsServedFromMemory) {
  const fakes::TemporaryFolder folder{fakes::Medium::kMemory};
  const SystemClock clock;
  auto store = open_disk_store({.path = folder.path() / "store", .size = mib(64), .min_free_percent = 0, .memory = mib(8)}, clock);
  ASSERT_TRUE(store.has_value());
  ASSERT_TRUE((*store)->put(std::string(137, 'x'), {key_of(1), {"text/plain", ""}, clock.wall()}).has_value());
  const std::string key = key_of(1);
  constexpr int kRounds = kInstrumented ? 20'000 : 2'000'000;
  const auto start = processor_seconds();
  std::size_t bytes = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto entry = (*store)->find(key);
    bytes += size_of(*(*store)->open(*entry));
  }
  const double rate = kRounds / (processor_seconds() - start);
  std::cout << rate / 1e6 << " million find and open a second on one core\n";
  EXPECT_EQ(bytes, 137U * kRounds);
  EXPECT_GT(rate, kInstrumented ? 1e3 : 2e5);
}

}  // namespace
}  // namespace cistern::store
