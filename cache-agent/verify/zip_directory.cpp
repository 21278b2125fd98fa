#include "cache-agent/verify/zip_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace cistern::verify {
namespace {

// Offsets and sizes of APPNOTE.TXT, 4.3.
constexpr std::uint64_t kLocalHeader = 30;
constexpr std::uint64_t kDirectoryEntry = 46;
constexpr std::uint64_t kEnd = 22;
constexpr std::uint64_t kEnd64 = 56;
constexpr std::uint64_t kEnd64Locator = 20;
constexpr std::uint64_t kMaxComment = 65535;
constexpr std::uint32_t kMax32 = 0xffffffff;

Failure bad(std::string_view what) { return fail(ErrorCode::kCorrupt, "not a zip archive as go writes it: {}", what); }

std::uint64_t number(std::string_view bytes, std::size_t offset, std::size_t length) {
  std::uint64_t value = 0;
  for (std::size_t i = length; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

Result<std::string> read_at(int file, std::uint64_t offset, std::uint64_t length) {
  std::string bytes(length, '\0');
  for (std::uint64_t done = 0; done < length;) {
    const ssize_t n = ::pread(file, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(system_error(errno, "reading a zip archive"));
    if (n == 0) return bad("it ends too early");
    done += static_cast<std::uint64_t>(n);
  }
  return bytes;
}

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t entries = 0;
  std::uint64_t end = 0;  // where the end records begin
};

// The end record is the last thing in the file that looks like one, and its comment reaches exactly to the end.
Result<std::string> read_end(int file, std::uint64_t file_size) {
  const std::uint64_t length = std::min(file_size, kEnd + kMaxComment);
  auto tail = read_at(file, file_size - length, length);
  if (!tail) return tail;
  const std::size_t start = tail->rfind("PK\x05\x06");
  if (start == std::string::npos || tail->size() - start < kEnd) return bad("it has no end record");
  if (number(*tail, start + 20, 2) != tail->size() - start - kEnd) return bad("bytes follow its end record");
  return tail->substr(start);
}

// Archives of more than 65535 files have a second, larger end record before the first.
Result<Directory> read_end64(int file, std::uint64_t end) {
  if (end < kEnd64 + kEnd64Locator) return bad("its zip64 record is missing");
  const std::uint64_t begin = end - kEnd64Locator - kEnd64;
  const auto records = read_at(file, begin, kEnd64 + kEnd64Locator);
  if (!records) return fail(records.error());
  const std::string_view record = std::string_view(*records).substr(0, kEnd64);
  const std::string_view locator = std::string_view(*records).substr(kEnd64);
  const bool located =
      locator.starts_with("PK\x06\x07") && number(locator, 4, 4) == 0 && number(locator, 8, 8) == begin && number(locator, 16, 4) == 1;
  if (!located || !record.starts_with("PK\x06\x06") || number(record, 4, 8) != kEnd64 - 12) return bad("its zip64 record is missing");
  if (number(record, 16, 8) != 0 || number(record, 24, 8) != number(record, 32, 8)) return bad("it is in parts");
  return Directory{number(record, 48, 8), number(record, 40, 8), number(record, 32, 8), begin};
}

Result<Directory> find_directory(int file, std::uint64_t file_size) {
  const auto record = read_end(file, file_size);
  if (!record) return fail(record.error());
  const std::uint64_t end = file_size - record->size();
  if (number(*record, 4, 4) != 0 || number(*record, 8, 2) != number(*record, 10, 2)) return bad("it is in parts");
  Directory directory{number(*record, 16, 4), number(*record, 12, 4), number(*record, 10, 2), end};
  if (directory.entries == 0xffff || directory.size == kMax32 || directory.offset == kMax32) {
    const auto large = read_end64(file, end);
    if (!large) return large;
    directory = *large;
  } else if (directory.size == 0xffff) {
    return bad("its directory has the size by which go looks for a zip64 record");
  }
  if (directory.size > directory.end || directory.offset != directory.end - directory.size)
    return bad("its directory is not right before its end record");
  return directory;
}

// Takes the first entry off `bytes`.
Result<ZipEntry> take_entry(std::string_view& bytes) {
  if (bytes.size() < kDirectoryEntry || !bytes.starts_with("PK\x01\x02")) return bad("its directory is damaged");
  const std::size_t name_length = number(bytes, 28, 2);
  const std::size_t length = kDirectoryEntry + name_length + number(bytes, 30, 2) + number(bytes, 32, 2);
  if (bytes.size() < length) return bad("its directory is damaged");
  ZipEntry entry;
  entry.name = bytes.substr(kDirectoryEntry, name_length);
  entry.method = static_cast<std::uint16_t>(number(bytes, 10, 2));
  entry.crc = static_cast<std::uint32_t>(number(bytes, 16, 4));
  entry.packed = number(bytes, 20, 4);
  entry.unpacked = number(bytes, 24, 4);
  entry.header = number(bytes, 42, 4);
  const std::uint64_t flags = number(bytes, 8, 2);
  constexpr std::uint64_t kEncrypted = 1 | 1U << 5 | 1U << 6 | 1U << 13;  // also patched data, strong encryption, hidden headers
  if ((flags & kEncrypted) != 0) return bad("it has encrypted files");
  if (entry.method != ZipEntry::kStored && entry.method != ZipEntry::kDeflated) return bad("it has files packed by an unknown method");
  if (entry.method == ZipEntry::kStored && entry.packed != entry.unpacked) return bad("the sizes of a file disagree");
  if (entry.packed == kMax32 || entry.unpacked == kMax32 || entry.header == kMax32) return bad("it has files of 4 GiB or more");
  bytes.remove_prefix(length);
  return entry;
}

Result<void> check_local_header(int file, const ZipEntry& entry, std::uint64_t directory) {
  const std::uint64_t start = entry.header + kLocalHeader + entry.name.size();
  if (start > directory) return bad("a file lies outside of it");
  const auto header = read_at(file, entry.header, kLocalHeader + entry.name.size());
  if (!header) return fail(header.error());
  const bool same = header->starts_with("PK\x03\x04") && number(*header, 8, 2) == entry.method &&
                    number(*header, 26, 2) == entry.name.size() && std::string_view(*header).substr(kLocalHeader) == entry.name;
  if (!same) return bad("a file's header disagrees with the directory");
  if (start + number(*header, 28, 2) + entry.packed > directory) return bad("a file lies outside of it");
  return {};
}

}  // namespace

Result<std::vector<ZipEntry>> read_zip_directory(int file, Bytes max_directory) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return fail(system_error(errno, "reading a zip archive"));
  const auto directory = find_directory(file, static_cast<std::uint64_t>(status.st_size));
  if (!directory) return fail(directory.error());
  if (directory->size > max_directory.count) return bad("its directory is too large");
  const auto bytes = read_at(file, directory->offset, directory->size);
  if (!bytes) return fail(bytes.error());
  std::vector<ZipEntry> entries;
  std::uint64_t first = directory->offset;
  for (std::string_view rest = *bytes; !rest.empty();) {
    auto entry = take_entry(rest);
    if (!entry) return fail(std::move(entry.error()));
    if (const auto checked = check_local_header(file, *entry, directory->offset); !checked) return fail(checked.error());
    first = std::min(first, entry->header);
    entries.push_back(std::move(*entry));
  }
  if (entries.size() != directory->entries) return bad("its directory does not have the promised number of files");
  if (first != 0) return bad("bytes precede its first file");
  return entries;
}

}  // namespace cistern::verify
