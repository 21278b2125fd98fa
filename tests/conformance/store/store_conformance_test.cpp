// What every store promises (cache-agent/store/store.hpp).

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache-agent/store/store.hpp"
#include "tests/fakes/manual_clock.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::store {
namespace {

using std::chrono::seconds;

// Opens a store with so much room.
struct MemoryKind {
  std::unique_ptr<Store> open(Bytes size, const Clock& clock) { return make_memory_store(size, clock); }
};
struct DiskKind {
  std::unique_ptr<Store> open(Bytes size, const Clock& clock) {
    auto store = open_disk_store({.path = folder.path() / "store", .size = size, .min_free_percent = 0, .memory = mib(1)}, clock);
    EXPECT_TRUE(store.has_value()) << store.error().message;
    return std::move(*store);
  }
  fakes::TemporaryFolder folder{fakes::Medium::kMemory};
};

const WallTime kThen{seconds(1'700'000'000)};

std::string text_of(const Slice& slice) {
  if (const auto* memory = std::get_if<MemorySlice>(&slice)) return std::string(memory->bytes);
  const auto& file = std::get<FileSlice>(slice);
  std::string text(file.length, '\0');
  EXPECT_EQ(::pread(file.file->descriptor(), text.data(), text.size(), static_cast<off_t>(file.offset)), static_cast<ssize_t>(text.size()));
  return text;
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// A text of `size` bytes that differs for each `seed`.
std::string body_of(std::size_t size, int seed) {
  std::string text;
  text.reserve(size + 16);
  for (std::uint32_t x = static_cast<std::uint32_t>(seed) * 2654435761U + 1; text.size() < size; x = x * 1664525U + 1013904223U) {
    text.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
  text.resize(size);
  return text;
}

template <class Kind>
class StoreConformance : public testing::Test {
 protected:
  Store& store(Bytes size = mib(64)) {
    if (!store_) store_ = kind_.open(size, clock_);
    return *store_;
  }
  KeyRecord key(std::string name, std::string type = "text/plain") { return {std::move(name), {std::move(type), ""}, kThen}; }
  void put(const std::string& body, const std::string& name) {
    const auto done = store().put(body, key(name));
    ASSERT_TRUE(done.has_value()) << done.error().message;
    clock_.advance(seconds(1));
  }
  // What a reader gets for a key; "(absent)" if it is not there.
  std::string read(std::string_view name) {
    const auto entry = store().find(name);
    if (!entry) return "(absent)";
    const auto slice = store().open(*entry);
    return slice ? text_of(*slice) : "(" + slice.error().message + ")";
  }

  Kind kind_;
  fakes::ManualClock clock_;
  std::unique_ptr<Store> store_;
};

using Kinds = testing::Types<MemoryKind, DiskKind>;
struct KindNames {
  template <class Kind>
  static std::string GetName(int) {
    return std::is_same_v<Kind, MemoryKind> ? "Memory" : "Disk";
  }
};
TYPED_TEST_SUITE(StoreConformance, Kinds, KindNames);

TYPED_TEST(StoreConformance, FindsNothingInAnEmptyStore) {
  EXPECT_FALSE(this->store().find("a").has_value());
  EXPECT_FALSE(this->store().has_blob(Sha256::of("x")).has_value());
  EXPECT_EQ(this->store().stats().objects, 0U);
  EXPECT_EQ(this->store().stats().bytes, 0U);
}

TYPED_TEST(StoreConformance, GivesBackWhatWasCommittedWithItsMeta) {
  auto writer = this->store().begin(11);
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE((*writer)->append(bytes_of("hello ")).has_value());
  ASSERT_TRUE((*writer)->append(bytes_of("world")).has_value());
  EXPECT_EQ((*writer)->digest(), Sha256::of("hello world"));
  EXPECT_FALSE(this->store().find("k").has_value()) << "visible before the commit";
  ASSERT_TRUE((*writer)->commit({{"k", {"a/b", "X: 1\n"}, kThen}}).has_value());
  const auto entry = this->store().find("k");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->digest, Sha256::of("hello world"));
  EXPECT_EQ(entry->size, 11U);
  EXPECT_EQ(entry->fetched, kThen);
  EXPECT_EQ(*entry->meta, (Meta{"a/b", "X: 1\n"}));
  EXPECT_EQ(this->read("k"), "hello world");
  EXPECT_EQ(this->store().has_blob(Sha256::of("hello world")), 11U);
}

TYPED_TEST(StoreConformance, KeepsAnEmptyBlob) {
  this->put("", "empty");
  EXPECT_EQ(this->read("empty"), "");
}

TYPED_TEST(StoreConformance, KeepsALargeBlobWrittenInPieces) {
  const std::string body = body_of(3'000'001, 1);
  auto writer = this->store().begin(std::nullopt);
  ASSERT_TRUE(writer.has_value());
  for (std::size_t at = 0; at < body.size(); at += 70'000) {
    ASSERT_TRUE((*writer)->append(bytes_of(std::string_view(body).substr(at, 70'000))).has_value());
  }
  ASSERT_TRUE((*writer)->commit({this->key("large")}).has_value());
  writer->reset();
  EXPECT_EQ(this->read("large"), body);
  EXPECT_EQ(this->store().stats().reserved, 0U);
}

TYPED_TEST(StoreConformance, AFollowerReadsWhatIsAppendedAlsoAfterCommitAndErasure) {
  auto writer = this->store().begin(std::nullopt);
  ASSERT_TRUE(writer.has_value());
  const auto file = (*writer)->file();
  const auto read = [&] { return text_of(FileSlice{file, 0, (*writer)->size()}); };
  ASSERT_TRUE((*writer)->append(bytes_of("one ")).has_value());
  EXPECT_EQ(read(), "one ");
  ASSERT_TRUE((*writer)->append(bytes_of("two")).has_value());
  ASSERT_TRUE((*writer)->commit({this->key("k")}).has_value());
  EXPECT_EQ(read(), "one two");
  this->store().erase("k");
  EXPECT_EQ(read(), "one two");
}

TYPED_TEST(StoreConformance, AnAbandonedWriterLeavesNothing) {
  {
    auto writer = this->store().begin(1000);
    ASSERT_TRUE(writer.has_value());
    EXPECT_GE(this->store().stats().reserved, 1000U);
    ASSERT_TRUE((*writer)->append(bytes_of("half")).has_value());
  }
  EXPECT_EQ(this->store().stats().reserved, 0U);
  EXPECT_EQ(this->store().stats().blobs, 0U);
}

TYPED_TEST(StoreConformance, ACommittedWriterTakesNoMore) {
  auto writer = this->store().begin(4);
  ASSERT_TRUE((*writer)->append(bytes_of("body")).has_value());
  ASSERT_TRUE((*writer)->commit({this->key("k")}).has_value());
  EXPECT_FALSE((*writer)->append(bytes_of("more")).has_value());
  EXPECT_FALSE((*writer)->commit({this->key("l")}).has_value());
}

TYPED_TEST(StoreConformance, SeveralKeysOfOneCommitNameOneBlob) {
  auto writer = this->store().begin(4);
  ASSERT_TRUE((*writer)->append(bytes_of("body")).has_value());
  ASSERT_TRUE((*writer)->commit({this->key("a", "t/1"), this->key("b", "t/2")}).has_value());
  EXPECT_EQ(this->store().find("a")->meta->content_type, "t/1");
  EXPECT_EQ(this->store().find("b")->meta->content_type, "t/2");
  EXPECT_EQ(this->store().stats().blobs, 1U);
  EXPECT_EQ(this->store().stats().objects, 2U);
}

TYPED_TEST(StoreConformance, TheSameBytesUnderTwoKeysAreKeptOnce) {
  this->put("same", "a");
  this->put("same", "b");
  EXPECT_EQ(this->store().stats().blobs, 1U);
  EXPECT_EQ(this->read("a"), "same");
  EXPECT_EQ(this->read("b"), "same");
}

TYPED_TEST(StoreConformance, TheRightToReadIsByKey) {
  this->put("secret", "view/private/blob");
  EXPECT_TRUE(this->store().has_blob(Sha256::of("secret")).has_value());
  EXPECT_FALSE(this->store().find("view/public/blob").has_value());
  ASSERT_TRUE(this->store().link(Sha256::of("secret"), this->key("view/public/blob")).has_value());
  EXPECT_EQ(this->read("view/public/blob"), "secret");
  this->store().erase("view/private/blob");
  EXPECT_FALSE(this->store().find("view/private/blob").has_value());
  EXPECT_EQ(this->read("view/public/blob"), "secret");
}

TYPED_TEST(StoreConformance, ALinkToABlobThatIsNotThereIsNotFound) {
  const auto linked = this->store().link(Sha256::of("nothing"), this->key("k"));
  ASSERT_FALSE(linked.has_value());
  EXPECT_EQ(linked.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(this->store().find("k").has_value());
}

TYPED_TEST(StoreConformance, AKeyPointedToAnotherBlobDropsTheOldOneIfNothingElseNamesIt) {
  this->put("v1", "list");
  this->put("v2", "list");
  EXPECT_EQ(this->read("list"), "v2");
  EXPECT_FALSE(this->store().has_blob(Sha256::of("v1")).has_value());
  EXPECT_EQ(this->store().stats().objects, 1U);
}

TYPED_TEST(StoreConformance, AKeyPointedToAnotherBlobLeavesTheOldOneToItsOtherKeys) {
  this->put("v1", "tag");
  ASSERT_TRUE(this->store().link(Sha256::of("v1"), this->key("digest")).has_value());
  this->put("v2", "tag");
  EXPECT_EQ(this->read("tag"), "v2");
  EXPECT_EQ(this->read("digest"), "v1");
  ASSERT_TRUE(this->store().link(Sha256::of("v1"), this->key("tag")).has_value());
  EXPECT_EQ(this->read("tag"), "v1");
  EXPECT_FALSE(this->store().has_blob(Sha256::of("v2")).has_value());
}

TYPED_TEST(StoreConformance, ACommitOfTheSameKeyAndBytesRenewsMetaAndTime) {
  this->put("body", "k");
  ASSERT_TRUE(this->store().put("body", {"k", {"other/type", ""}, kThen + seconds(60)}).has_value());
  EXPECT_EQ(this->store().find("k")->meta->content_type, "other/type");
  EXPECT_EQ(this->store().find("k")->fetched, kThen + seconds(60));
  ASSERT_TRUE(this->store().put("body", {"k", {"other/type", ""}, kThen + seconds(90)}).has_value());
  EXPECT_EQ(this->store().find("k")->fetched, kThen + seconds(90));
  EXPECT_EQ(this->store().stats().objects, 1U);
}

TYPED_TEST(StoreConformance, TouchSetsWhenTheOriginLastVouched) {
  this->put("body", "k");
  this->store().touch("k", kThen + seconds(5));
  this->store().touch("unknown", kThen);
  EXPECT_EQ(this->store().find("k")->fetched, kThen + seconds(5));
  EXPECT_FALSE(this->store().find("unknown").has_value());
}

TYPED_TEST(StoreConformance, EraseDropsTheLastKeysBlobAndAnOpenReaderFinishes) {
  const std::string body = body_of(200'000, 3);
  this->put(body, "k");
  const auto entry = this->store().find("k");
  const auto slice = this->store().open(*entry);
  ASSERT_TRUE(slice.has_value());
  this->store().erase("k");
  this->store().erase("k");
  EXPECT_FALSE(this->store().find("k").has_value());
  EXPECT_EQ(this->store().stats().bytes, 0U);
  EXPECT_EQ(text_of(*slice), body);
  const auto late = this->store().open(*entry);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, ErrorCode::kNotFound);
}

TYPED_TEST(StoreConformance, PurgeDropsWhatMatchesTheGlobAcrossSlashes) {
  this->put("1", "go/v/example.com/a/@v/v1.mod");
  this->put("2", "go/v/example.com/b/@v/v1.mod");
  this->put("3", "go/v/other.org/a/@v/v1.mod");
  ASSERT_TRUE(this->store().link(Sha256::of("1"), this->key("go/w/other.org/x")).has_value());
  const auto purged = this->store().purge("go/v/example.com/*");
  ASSERT_TRUE(purged.has_value());
  EXPECT_EQ(*purged, 2U);
  EXPECT_EQ(this->read("go/v/example.com/a/@v/v1.mod"), "(absent)");
  EXPECT_EQ(this->read("go/w/other.org/x"), "1");
  EXPECT_EQ(this->read("go/v/other.org/a/@v/v1.mod"), "3");
  EXPECT_EQ(*this->store().purge("*nothing*"), 0U);
  EXPECT_EQ(*this->store().purge("*"), 2U);
  EXPECT_EQ(this->store().stats().blobs, 0U);
}

TYPED_TEST(StoreConformance, TheLeastRecentlyUsedLeaveFirst) {
  this->store(kib(512));
  for (int i = 0; i < 4; ++i) this->put(body_of(100'000, i), "k" + std::to_string(i));
  ASSERT_TRUE(this->store().find("k0").has_value());  // a use
  for (int i = 4; i < 6; ++i) this->put(body_of(100'000, i), "k" + std::to_string(i));
  EXPECT_TRUE(this->store().find("k0").has_value());
  EXPECT_FALSE(this->store().find("k1").has_value());
  EXPECT_TRUE(this->store().find("k5").has_value());
  EXPECT_GE(this->store().stats().evictions, 1U);
  EXPECT_LE(this->store().stats().bytes, kib(512).count);
}

TYPED_TEST(StoreConformance, EvictionTakesAllKeysOfABlobAndAReaderFinishes) {
  this->store(kib(512));
  const std::string body = body_of(300'000, 1);
  this->put(body, "a");
  ASSERT_TRUE(this->store().link(Sha256::of(body), this->key("b")).has_value());
  const auto entry = this->store().find("a");
  const auto slice = this->store().open(*entry);
  this->put(body_of(300'000, 2), "c");
  EXPECT_FALSE(this->store().find("a").has_value());
  EXPECT_FALSE(this->store().find("b").has_value());
  EXPECT_EQ(text_of(*slice), body);
  EXPECT_EQ(this->store().open(*entry).error().code, ErrorCode::kNotFound);
}

TYPED_TEST(StoreConformance, AnObjectLargerThanTheStoreIsRefusedAndEvictsNothing) {
  this->store(kib(512));
  this->put("small", "k");
  const auto writer = this->store().begin(600'000);
  ASSERT_FALSE(writer.has_value());
  EXPECT_EQ(writer.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(this->read("k"), "small");
}

TYPED_TEST(StoreConformance, AWriterThatOutgrowsTheStoreKeepsWhatItHadReadable) {
  this->store(kib(512));
  auto writer = this->store().begin(std::nullopt);
  ASSERT_TRUE(writer.has_value());
  const std::string piece = body_of(100'000, 7);
  Result<void> done;
  int pieces = 0;
  while (done && pieces < 10) {
    done = (*writer)->append(bytes_of(piece));
    if (done) ++pieces;
  }
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(pieces, 5) << "steps of reservation must not refuse what would fit";
  EXPECT_EQ((*writer)->size(), 500'000U);
  EXPECT_EQ(text_of(FileSlice{(*writer)->file(), 400'000, 100'000}), piece);
  EXPECT_FALSE((*writer)->append(bytes_of("x")).has_value());
  EXPECT_FALSE((*writer)->commit({this->key("k")}).has_value());
  EXPECT_FALSE(this->store().find("k").has_value());
}

TYPED_TEST(StoreConformance, ScratchSpaceCountsUntilItsHandleGoes) {
  this->store(kib(512));
  auto scratch = this->store().reserve(400'000);
  ASSERT_TRUE(scratch.has_value());
  EXPECT_EQ(this->store().begin(200'000).error().code, ErrorCode::kNoSpace);
  scratch->reset();
  EXPECT_TRUE(this->store().begin(200'000).has_value());
}

TYPED_TEST(StoreConformance, ScratchSpaceMayOutliveTheStore) {
  auto scratch = this->store().reserve(1000);
  ASSERT_TRUE(scratch.has_value());
  this->store_.reset();
  scratch->reset();
}

TYPED_TEST(StoreConformance, TwoWritersOfOneBlobMergeTheirKeys) {
  auto first = this->store().begin(4), second = this->store().begin(4);
  ASSERT_TRUE((*first)->append(bytes_of("body")).has_value());
  ASSERT_TRUE((*second)->append(bytes_of("body")).has_value());
  ASSERT_TRUE((*first)->commit({this->key("a")}).has_value());
  ASSERT_TRUE((*second)->commit({this->key("b")}).has_value());
  EXPECT_EQ(text_of(FileSlice{(*second)->file(), 0, 4}), "body");
  EXPECT_EQ(this->read("a"), "body");
  EXPECT_EQ(this->read("b"), "body");
  EXPECT_EQ(this->store().stats().blobs, 1U);
  EXPECT_EQ(this->store().stats().reserved, 4U * 0U);
}

// Writers, readers, re-pointing, erasing and eviction at once: every byte that is read is right, and the accounts agree at the end.
TYPED_TEST(StoreConformance, ManyThreadsAtOnceNeverReadAWrongByte) {
  Store& store = this->store(kib(600));
  constexpr int kKeys = 24, kRounds = 120;
  std::atomic<int> wrong{0}, reads{0};
  const auto work = [&](int thread) {
    for (int i = 0; i < kRounds; ++i) {
      const std::string name = "k" + std::to_string((i * 7 + thread * 5) % kKeys);
      const int action = (i + thread) % 8;
      if (action < 3) {
        // The same few bodies under many keys, so that blobs are shared, re-pointed and committed by several at once.
        const std::string body = body_of(action == 0 ? 60'000 : 2'000, (i / 3) % 6);
        const auto done = store.put(body, this->key(name, std::to_string(body.size())));
        if (!done && done.error().code != ErrorCode::kNoSpace) ++wrong;
      } else if (action == 3 && i % 3 == 0) {
        store.erase(name);
      } else if (action == 4) {
        const auto linked = store.link(Sha256::of(body_of(2'000, i % 6)), this->key(name, "2000"));
        if (!linked && linked.error().code != ErrorCode::kNotFound) ++wrong;
      } else if (const auto entry = store.find(name)) {
        const auto slice = store.open(*entry);
        if (!slice && slice.error().code != ErrorCode::kNotFound) ++wrong;
        if (!slice) continue;
        ++reads;
        if (Sha256::of(text_of(*slice)) != entry->digest || entry->meta->content_type != std::to_string(entry->size)) ++wrong;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(reads, 0);
  EXPECT_EQ(store.stats().reserved, 0U);
  EXPECT_LE(store.stats().bytes, kib(600).count);
  ASSERT_TRUE(store.purge("*").has_value());
  EXPECT_EQ(store.stats().bytes, 0U);
  EXPECT_EQ(store.stats().blobs, 0U);
}

}  // namespace
}  // namespace cistern::store
