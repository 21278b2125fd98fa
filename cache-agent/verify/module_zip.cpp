#include "cache-agent/verify/module_zip.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "cache-agent/verify/utf8.hpp"
#include "cache-agent/verify/zip_directory.hpp"

namespace cistern::verify {
namespace {

constexpr std::size_t kChunk = 256 << 10;

using Archive = std::unique_ptr<zip_t, decltype(&zip_discard)>;
using ArchivedFile = std::unique_ptr<zip_file_t, decltype(&zip_fclose)>;

struct HashedFile {
  std::string name;
  Digest digest;
};

std::string h1(std::vector<HashedFile> files) {
  std::sort(files.begin(), files.end(), [](const HashedFile& a, const HashedFile& b) { return a.name < b.name; });
  Sha256 hash;
  for (const HashedFile& file : files) hash.update(file.digest.hex() + "  " + file.name + "\n");
  const Digest digest = hash.digest();
  return "h1:" + to_base64({reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()});
}

// "a/b" or "a/b/": no element empty, "." or "..", and nothing that is a separator or a control character somewhere.
bool is_clean_name(std::string_view name) {
  if (name.ends_with('/')) name.remove_suffix(1);
  if (!is_plain_text(name) || name.find_first_of("\n\\\x7f") != std::string_view::npos) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view element = name.substr(begin, end - begin);
    if (element.empty() || element == "." || element == "..") return false;
    begin = end + 1;
  }
  return true;
}

Result<void> check_names(const std::vector<ZipEntry>& entries, std::string_view prefix) {
  std::vector<std::string_view> names;
  for (const ZipEntry& entry : entries) {
    const std::string_view name = entry.name;
    if (!name.starts_with(prefix)) return fail(ErrorCode::kCorrupt, "the zip has a file outside of \"{}\"", prefix);
    if (name != prefix && !is_clean_name(name.substr(prefix.size())))
      return fail(ErrorCode::kCorrupt, "the zip has a file with a forbidden name");
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return fail(ErrorCode::kCorrupt, "the zip has \"{}\" twice", *twice);
  return {};
}

Result<void> check_sizes(const std::vector<ZipEntry>& entries, Bytes limit) {
  std::uint64_t left = limit.count;
  for (const ZipEntry& entry : entries) {
    if (entry.unpacked > left) return fail(ErrorCode::kCorrupt, "the zip unpacks to more than {}", human(limit));
    if (entry.name.ends_with('/') && entry.unpacked != 0) return fail(ErrorCode::kCorrupt, "the zip has a folder with contents");
    left -= entry.unpacked;
  }
  return {};
}

// Through /proc, for a file position of its own; libzip closes it.
Result<Archive> open_archive(int file) {
  const int own = ::open(fmt::format("/proc/self/fd/{}", file).c_str(), O_RDONLY | O_CLOEXEC);
  if (own < 0) return fail(system_error(errno, "reading a module zip"));
  int code = 0;
  Archive archive(zip_fdopen(own, 0, &code), zip_discard);
  if (archive) return archive;
  ::close(own);
  return fail(ErrorCode::kCorrupt, "the module zip can not be opened (libzip error {})", code);
}

// That libzip reads the same directory as we and Go do.
Result<void> check_same(zip_t* archive, std::uint64_t index, const ZipEntry& entry) {
  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_stat_index(archive, index, ZIP_FL_ENC_RAW, &status) != 0) return fail(ErrorCode::kCorrupt, "the module zip is damaged");
  const bool same = status.name == entry.name && status.size == entry.unpacked && status.comp_size == entry.packed &&
                    status.crc == entry.crc && status.comp_method == entry.method;
  if (!same) return fail(ErrorCode::kCorrupt, "the module zip can be read in two ways");
  return {};
}

Result<void> check_interrupt(const Interrupt& interrupt) {
  if (interrupt.cancelled.stop_requested()) return fail(ErrorCode::kCancelled, "verifying a module zip was cancelled");
  if (interrupt.deadline.passed(interrupt.clock)) return fail(ErrorCode::kTimeout, "verifying a module zip took too long");
  return {};
}

Result<Digest> hash_file(zip_t* archive, std::uint64_t index, const ZipEntry& entry, std::span<std::byte> buffer,
                         const Interrupt& interrupt) {
  const auto damaged = [&] { return fail(ErrorCode::kCorrupt, "the module zip is damaged at \"{}\"", entry.name); };
  if (entry.name.ends_with('/')) return Sha256::of(std::string_view());
  const ArchivedFile file(zip_fopen_index(archive, index, 0), zip_fclose);
  if (!file) return damaged();
  Sha256 hash;
  // The read that finds the end is also the one that compares the checksum.
  for (std::uint64_t done = 0;;) {
    if (const auto go_on = check_interrupt(interrupt); !go_on) return fail(go_on.error());
    const zip_int64_t n = zip_fread(file.get(), buffer.data(), buffer.size());
    if (n < 0 || (n == 0 && done != entry.unpacked)) return damaged();
    if (n == 0) return hash.digest();
    done += static_cast<std::uint64_t>(n);
    if (done > entry.unpacked) return damaged();
    hash.update(buffer.first(static_cast<std::size_t>(n)));
  }
}

}  // namespace

Result<std::string> hash_module_zip(int file, std::string_view module, std::string_view version, const ZipLimits& limits,
                                    const Interrupt& interrupt) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return fail(system_error(errno, "reading a module zip"));
  if (static_cast<std::uint64_t>(status.st_size) > limits.packed.count) {
    return fail(ErrorCode::kCorrupt, "the module zip is larger than {}", human(limits.packed));
  }
  const auto entries = read_zip_directory(file, limits.directory);
  if (!entries) return fail(entries.error());
  if (const auto named = check_names(*entries, fmt::format("{}@{}/", module, version)); !named) return fail(named.error());
  if (const auto sized = check_sizes(*entries, limits.unpacked); !sized) return fail(sized.error());
  const auto archive = open_archive(file);
  if (!archive) return fail(archive.error());
  if (static_cast<std::uint64_t>(zip_get_num_entries(archive->get(), 0)) != entries->size()) {
    return fail(ErrorCode::kCorrupt, "the module zip can be read in two ways");
  }
  std::vector<std::byte> buffer(kChunk);
  std::vector<HashedFile> files;
  for (std::uint64_t i = 0; i < entries->size(); ++i) {
    const ZipEntry& entry = (*entries)[i];
    if (const auto same = check_same(archive->get(), i, entry); !same) return fail(same.error());
    const auto digest = hash_file(archive->get(), i, entry, buffer, interrupt);
    if (!digest) return fail(digest.error());
    files.push_back({entry.name, *digest});
  }
  return h1(std::move(files));
}

std::string hash_go_mod(std::string_view bytes) { return h1({{"go.mod", Sha256::of(bytes)}}); }

}  // namespace cistern::verify
