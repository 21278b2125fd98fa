#include "cache-agent/store/blob_record.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "cache-agent/store/crc32c.hpp"
#include "cache-agent/store/key_glob.hpp"
#include "cache-agent/store/key_hash.hpp"

namespace cistern::store {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

const Digest kDigest = Sha256::of("content");

RecordEntry names(std::string key, std::uint64_t sequence) {
  return {false, sequence, {std::move(key), {"a/b", "X: y\n"}, WallTime(std::chrono::seconds(1700000000))}};
}
RecordEntry erased(std::string key, std::uint64_t sequence) { return {true, sequence, {std::move(key), {}, {}}}; }

std::string record(std::vector<RecordEntry> entries, const Digest& digest = kDigest) {
  return *encode_record({7, digest, std::move(entries)});
}

TEST(BlobRecord, ComesBackAsItWasWritten) {
  const std::string text = record({names("k", 5), erased("l", 6)});
  const auto decoded = decode_record(bytes_of(text + "what follows"));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->length, text.size());
  EXPECT_EQ(decoded->record.content_length, 7U);
  EXPECT_EQ(decoded->record.digest, kDigest);
  ASSERT_EQ(decoded->record.entries.size(), 2U);
  EXPECT_EQ(decoded->record.entries[0].record.key, "k");
  EXPECT_EQ(decoded->record.entries[0].record.meta, (Meta{"a/b", "X: y\n"}));
  EXPECT_EQ(decoded->record.entries[0].record.fetched.time_since_epoch().count(), 1700000000);
  EXPECT_TRUE(decoded->record.entries[1].erased);
}

TEST(BlobRecord, EveryFlippedBitAndEveryMissingByteIsNoticed) {
  const std::string text = record({names("key", 5)});
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_FALSE(decode_record(bytes_of(damaged)).has_value()) << "byte " << i << " bit " << bit;
    }
    EXPECT_FALSE(decode_record(bytes_of(std::string_view(text).substr(0, i))).has_value());
  }
}

TEST(BlobRecord, TheNewestEntryOfAKeyHolds) {
  const std::string region =
      record({names("a", 1), names("b", 2)}) + record({erased("a", 3)}) + record({names("c", 4), erased("c", 5), names("a", 6)});
  const RecordRegion read = read_records(bytes_of(region), 7, kDigest);
  EXPECT_EQ(read.length, region.size());
  EXPECT_FALSE(read.damaged);
  EXPECT_EQ(read.last_sequence, 6U);
  std::set<std::string> live;
  for (const RecordEntry& entry : read.live) live.insert(entry.record.key);
  EXPECT_EQ(live, (std::set<std::string>{"a", "b"}));
}

TEST(BlobRecord, ATornRecordIsCutWhereverItTears) {
  const std::string whole = record({names("a", 1)}), torn = record({names("b", 2)});
  for (std::size_t i = 1; i < torn.size(); ++i) {
    const std::string region = whole + torn.substr(0, i);
    EXPECT_TRUE(find_last_record(bytes_of("content" + region), kDigest).has_value());
    const RecordRegion read = read_records(bytes_of(region), 7, kDigest);
    EXPECT_EQ(read.length, whole.size()) << "torn at " << i;
    ASSERT_EQ(read.live.size(), 1U);
    EXPECT_EQ(read.live[0].record.key, "a");
  }
}

TEST(BlobRecord, ADamagedRecordLosesItsKeysAndNoOthers) {
  std::string first = record({names("a", 1)});
  first[60] ^= 1;
  const RecordRegion read = read_records(bytes_of(first + record({names("b", 2)})), 7, kDigest);
  EXPECT_TRUE(read.damaged);
  ASSERT_EQ(read.live.size(), 1U);
  EXPECT_EQ(read.live[0].record.key, "b");
}

TEST(BlobRecord, ARecordOfAnotherFileIsNotTaken) {
  const std::string forged = record({names("forged", 9)}, Sha256::of("other"));
  EXPECT_FALSE(find_last_record(bytes_of(forged), kDigest).has_value());
  EXPECT_TRUE(read_records(bytes_of(forged), 7, kDigest).live.empty());
}

TEST(BlobRecord, KeysThatLookLikeRecordsOrAreTooLongAreRefused) {
  EXPECT_FALSE(encode_record({7, kDigest, {names("xCISTREC1", 1)}}).has_value());
  EXPECT_FALSE(encode_record({7, kDigest, {names("cistrend", 1)}}).has_value());
  EXPECT_FALSE(encode_record({7, kDigest, {names(std::string(kMaxRecordLength, 'k'), 1)}}).has_value());
}

TEST(Crc32c, AgreesWithThePublishedCheckValue) { EXPECT_EQ(crc32c(0, "123456789"), 0xe3069283U); }

TEST(KeyHash, AgreesWithThePublishedVectors) {
  const KeyHasher hasher({0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL});
  EXPECT_EQ(hasher(""), (KeyHash{0xe6a825ba047f81a3ULL, 0x930255c71472f66dULL}));
  EXPECT_EQ(hasher(std::string_view("\0", 1)), (KeyHash{0x44af996bd8c187daULL, 0x45fc229b11597634ULL}));
}

TEST(KeyGlob, StarsCrossSlashes) {
  EXPECT_TRUE(matches_key_glob("a*c", "a/b/c"));
  EXPECT_TRUE(matches_key_glob("*", ""));
  EXPECT_TRUE(matches_key_glob("*b*b", "abxbxb"));
  EXPECT_TRUE(matches_key_glob("a?c", "a/c"));
  EXPECT_FALSE(matches_key_glob("a*c", "a/b/cd"));
  EXPECT_FALSE(matches_key_glob("", "a"));
  EXPECT_FALSE(matches_key_glob("[ab]", "a"));
}

}  // namespace
}  // namespace cistern::store
