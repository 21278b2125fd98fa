#include "cache-agent/store/blob_record.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cache-agent/store/crc32c.hpp"

namespace cistern::store {
namespace {

static_assert(std::endian::native == std::endian::little, "the file format is little-endian");

constexpr std::string_view kHead = "CISTREC1";
constexpr std::string_view kFoot = "cistrend";
constexpr std::size_t kFixedLength = 8 + 4 + 4 + 8 + 32;
constexpr std::size_t kTrailerLength = 4 + 4 + 8;
constexpr std::uint8_t kNames = 1;
constexpr std::uint8_t kErased = 2;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T get_at(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Takes fields from the front; once something is missing it stays failed.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
  T number() {
    if (bytes_.size() < sizeof(T)) return failed_ = true, T{};
    const T value = get_at<T>(bytes_, 0);
    bytes_.remove_prefix(sizeof(T));
    return value;
  }
  std::string text(std::size_t length) {
    if (bytes_.size() < length) return failed_ = true, std::string();
    std::string value(bytes_.substr(0, length));
    bytes_.remove_prefix(length);
    return value;
  }
  bool failed() const { return failed_; }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

void put_entry(std::string& out, const RecordEntry& entry) {
  put(out, entry.erased ? kErased : kNames);
  put(out, entry.sequence);
  put(out, static_cast<std::int64_t>(entry.record.fetched.time_since_epoch().count()));
  put(out, static_cast<std::uint32_t>(entry.record.key.size()));
  put(out, static_cast<std::uint32_t>(entry.record.meta.content_type.size()));
  put(out, static_cast<std::uint32_t>(entry.record.meta.headers.size()));
  out += entry.record.key;
  out += entry.record.meta.content_type;
  out += entry.record.meta.headers;
}

std::optional<RecordEntry> take_entry(Reader& reader) {
  const auto kind = reader.number<std::uint8_t>();
  RecordEntry entry;
  entry.erased = kind == kErased;
  entry.sequence = reader.number<std::uint64_t>();
  entry.record.fetched = WallTime(std::chrono::seconds(reader.number<std::int64_t>()));
  const auto key_length = reader.number<std::uint32_t>();
  const auto type_length = reader.number<std::uint32_t>();
  const auto headers_length = reader.number<std::uint32_t>();
  entry.record.key = reader.text(key_length);
  entry.record.meta.content_type = reader.text(type_length);
  entry.record.meta.headers = reader.text(headers_length);
  if (reader.failed() || (kind != kNames && kind != kErased)) return std::nullopt;
  return entry;
}

}  // namespace

Result<std::string> encode_record(const BlobRecord& record) {
  std::string out(kHead);
  put(out, std::uint32_t{0});  // the length, set below
  put(out, static_cast<std::uint32_t>(record.entries.size()));
  put(out, record.content_length);
  out.append(reinterpret_cast<const char*>(record.digest.bytes.data()), record.digest.bytes.size());
  for (const RecordEntry& entry : record.entries) {
    // A torn record is searched for whole ones, and keys are made of what clients send: no text in a record may look like one.
    for (const std::string* text : {&entry.record.key, &entry.record.meta.content_type, &entry.record.meta.headers}) {
      if (text->find(kHead) != std::string::npos || text->find(kFoot) != std::string::npos) {
        return fail(ErrorCode::kInvalid, "a key or header of {} contains a reserved word of the store's format", record.digest.oci());
      }
    }
    put_entry(out, entry);
    if (out.size() + kTrailerLength > kMaxRecordLength) {
      return fail(ErrorCode::kInvalid, "the keys of {} do not fit a record of {} bytes", record.digest.oci(), kMaxRecordLength);
    }
  }
  const auto length = static_cast<std::uint32_t>(out.size() + kTrailerLength);
  std::memcpy(out.data() + kHead.size(), &length, sizeof length);
  put(out, crc32c(0, out));
  put(out, length);
  out += kFoot;
  return out;
}

std::optional<DecodedRecord> decode_record(std::span<const std::byte> bytes) {
  const std::string_view all = text_of(bytes);
  if (all.size() < kFixedLength + kTrailerLength || !all.starts_with(kHead)) return std::nullopt;
  const auto length = get_at<std::uint32_t>(all, 8);
  if (length < kFixedLength + kTrailerLength || length > kMaxRecordLength || length > all.size()) return std::nullopt;
  const std::string_view body = all.substr(0, length - kTrailerLength);
  const std::string_view trailer = all.substr(body.size(), kTrailerLength);
  if (trailer.substr(8) != kFoot || get_at<std::uint32_t>(trailer, 4) != length) return std::nullopt;
  if (get_at<std::uint32_t>(trailer, 0) != crc32c(0, body)) return std::nullopt;

  DecodedRecord decoded;
  decoded.length = length;
  const auto count = get_at<std::uint32_t>(all, 12);
  decoded.record.content_length = get_at<std::uint64_t>(all, 16);
  std::memcpy(decoded.record.digest.bytes.data(), all.data() + 24, 32);
  Reader reader(body.substr(kFixedLength));
  for (std::uint32_t i = 0; i < count; ++i) {
    std::optional<RecordEntry> entry = take_entry(reader);
    if (!entry) return std::nullopt;
    decoded.record.entries.push_back(std::move(*entry));
  }
  if (!reader.at_end()) return std::nullopt;
  return decoded;
}

std::optional<BlobRecord> find_last_record(std::span<const std::byte> bytes, const Digest& digest) {
  const std::string_view all = text_of(bytes);
  for (std::size_t foot = all.rfind(kFoot); foot != std::string_view::npos; foot = all.rfind(kFoot, foot - 1)) {
    const std::size_t end = foot + kFoot.size();
    if (foot >= 4) {
      const auto length = get_at<std::uint32_t>(all, foot - 4);
      if (length <= end && length >= kFixedLength + kTrailerLength) {
        std::optional<DecodedRecord> decoded = decode_record(bytes.subspan(end - length, length));
        if (decoded && decoded->record.digest == digest) return std::move(decoded->record);
      }
    }
    if (foot == 0) break;
  }
  return std::nullopt;
}

RecordRegion read_records(std::span<const std::byte> region, std::uint64_t content_length, const Digest& digest) {
  RecordRegion found;
  std::unordered_map<std::string, RecordEntry> newest;
  std::size_t offset = 0;
  while (offset < region.size()) {
    std::optional<DecodedRecord> decoded = decode_record(region.subspan(offset));
    if (!decoded || decoded->record.digest != digest || decoded->record.content_length != content_length) {
      const std::size_t next = text_of(region).find(kHead, offset + 1);
      if (next == std::string_view::npos) break;
      offset = next;
      continue;
    }
    if (offset != found.length) found.damaged = true;
    offset += decoded->length;
    found.length = offset;
    for (RecordEntry& entry : decoded->record.entries) {
      found.last_sequence = std::max(found.last_sequence, entry.sequence);
      const auto known = newest.find(entry.record.key);
      if (known == newest.end()) {
        std::string key = entry.record.key;
        newest.emplace(std::move(key), std::move(entry));
      } else if (known->second.sequence <= entry.sequence) {
        known->second = std::move(entry);
      }
    }
  }
  for (auto& [key, entry] : newest) {
    if (!entry.erased) found.live.push_back(std::move(entry));
  }
  return found;
}

}  // namespace cistern::store
