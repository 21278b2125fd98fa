// The records that end each blob file: which keys name the blob. Pure functions over bytes; docs/store.md has the argument.
//
//   file   = content, record, record …
//   record = head "CISTREC1" | u32 length of the record | u32 number of entries | u64 content length | 32 bytes digest of the content
//            | entries | u32 CRC-32C of all before it | u32 length of the record | foot "cistrend"
//   entry  = u8 kind (1 names the blob, 2 no longer names it) | u64 sequence | i64 fetched, seconds since 1970
//            | u32 key length | u32 content type length | u32 headers length | the three texts
//
// Integers are little-endian. The length at both ends lets a reader walk from either side. The digest ties a record to its file: content
// can not contain a record that would be taken for one of its own file, since it would have to contain its own digest.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "cache-agent/store/store.hpp"

namespace cistern::store {

// One key and the change of it. Of several for one key the one with the highest sequence holds.
struct RecordEntry {
  bool erased = false;
  std::uint64_t sequence = 0;
  KeyRecord record;
};

struct BlobRecord {
  std::uint64_t content_length = 0;
  Digest digest;
  std::vector<RecordEntry> entries;
};

// A record longer than this is not written, so what a crash tore off is not longer either.
inline constexpr std::size_t kMaxRecordLength = std::size_t{1} << 20;

// kInvalid if the keys are too long to be recorded.
Result<std::string> encode_record(const BlobRecord& record);

struct DecodedRecord {
  BlobRecord record;
  std::size_t length = 0;  // of bytes taken
};
// The record with which `bytes` begin, if they do.
std::optional<DecodedRecord> decode_record(std::span<const std::byte> bytes);

// The last whole record of the file `digest` in `bytes`, the end of that file.
std::optional<BlobRecord> find_last_record(std::span<const std::byte> bytes, const Digest& digest);

// What follows the content of a file.
struct RecordRegion {
  std::vector<RecordEntry> live;  // the newest entry of each key that names the blob
  std::uint64_t last_sequence = 0;
  std::size_t length = 0;  // to the end of the last whole record; what follows was torn off by a crash and is cut
  bool damaged = false;    // something before that could not be read: its keys are lost, those of other records are not
};
RecordRegion read_records(std::span<const std::byte> region, std::uint64_t content_length, const Digest& digest);

}  // namespace cistern::store
