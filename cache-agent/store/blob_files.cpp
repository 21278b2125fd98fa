#include "cache-agent/store/blob_files.hpp"

#include <algorithm>
#include <utility>

namespace cistern::store {

std::string BlobFiles::path_of_folder(unsigned folder) const { return fmt::format("{}/{:02x}", folder_, folder); }

std::string BlobFiles::path_of(const Digest& digest) const {
  const std::string hex = digest.hex();
  return fmt::format("{}/{}/{}", folder_, std::string_view(hex).substr(0, 2), std::string_view(hex).substr(2));
}

Result<BlobFiles::Contents> BlobFiles::read(const Digest& digest) const {
  const std::string path = path_of(digest);
  auto file = disk_.open(path, Disk::Mode::kRead);
  if (!file) return fail(std::move(file.error()));
  const auto size = disk_.size(**file);
  if (!size) return fail(size.error());
  const auto read_from = [&](std::uint64_t offset) -> Result<std::vector<std::byte>> {
    std::vector<std::byte> bytes(*size - offset);
    const auto read = disk_.read_at(**file, offset, bytes);
    if (!read) return fail(read.error());
    bytes.resize(*read);
    return bytes;
  };

  // The last record tells where the content ends. Mostly it is short and whole; at most it is long and stands before a torn one as long.
  for (const std::uint64_t window : {std::uint64_t{16} << 10, std::uint64_t{2 * kMaxRecordLength}}) {
    auto tail = read_from(*size - std::min(*size, window));
    if (!tail) return fail(std::move(tail.error()));
    const auto last = find_last_record(*tail, digest);
    if (!last || last->content_length > *size) continue;
    auto region = read_from(last->content_length);
    if (!region) return fail(std::move(region.error()));
    return Contents{last->content_length, *size, read_records(*region, last->content_length, digest)};
  }
  return fail(ErrorCode::kCorrupt, "{}: no record at its end", path);
}

Result<void> BlobFiles::cut(const Digest& digest, std::uint64_t file_size) {
  auto file = disk_.open(path_of(digest), Disk::Mode::kReadWrite);
  if (!file) return fail(std::move(file.error()));
  if (auto cut = disk_.truncate(**file, file_size); !cut) return cut;
  return disk_.sync(**file);
}

Result<std::uint64_t> BlobFiles::append(const Digest& digest, std::uint64_t file_size, const BlobRecord& record) {
  const auto encoded = encode_record(record);
  if (!encoded) return fail(encoded.error());
  auto file = disk_.open(path_of(digest), Disk::Mode::kReadWrite);
  if (!file) return fail(std::move(file.error()));
  const auto size = disk_.size(**file);
  if (!size) return fail(size.error());
  if (*size != file_size) return fail(ErrorCode::kCorrupt, "{} has {} bytes, not {}", path_of(digest), *size, file_size);
  Result<void> done = disk_.write_at(**file, file_size, std::as_bytes(std::span(*encoded)));
  if (done) done = disk_.sync(**file);
  if (!done) {
    static_cast<void>(disk_.truncate(**file, file_size));
    return fail(std::move(done.error()));
  }
  return file_size + encoded->size();
}

Result<void> BlobFiles::publish(const std::string& temporary, const Digest& digest) {
  if (auto renamed = disk_.rename(temporary, path_of(digest)); !renamed) return renamed;
  return disk_.sync_folder(path_of_folder(folder_of(digest)));
}

Result<void> BlobFiles::remove(const Digest& digest) {
  const auto removed = disk_.remove(path_of(digest));
  if (removed) removed_[folder_of(digest)] = true;
  if (!removed && removed.error().code != ErrorCode::kNotFound) return fail(removed.error());
  return {};
}

Result<void> BlobFiles::sync_removals() {
  Result<void> result;
  for (unsigned folder = 0; folder < kFolders; ++folder) {
    if (!removed_[folder].exchange(false)) continue;
    if (auto synced = disk_.sync_folder(path_of_folder(folder)); !synced) {
      removed_[folder] = true;
      result = fail(std::move(synced.error()));
    }
  }
  return result;
}

Result<std::vector<Digest>> BlobFiles::list(unsigned folder, std::uint64_t* strangers) const {
  const auto names = disk_.list(path_of_folder(folder));
  if (!names) return fail(names.error());
  std::vector<Digest> digests;
  digests.reserve(names->size());
  for (const std::string& name : *names) {
    if (const auto digest = Digest::from_hex(fmt::format("{:02x}{}", folder, name))) {
      digests.push_back(*digest);
    } else if (strangers != nullptr) {
      ++*strangers;
    }
  }
  return digests;
}

}  // namespace cistern::store
