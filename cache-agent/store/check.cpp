// A full check of a store that nobody uses: every blob is read.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cache-agent/store/blob_files.hpp"
#include "cache-agent/store/index_db.hpp"
#include "cache-agent/store/store.hpp"
#include "cache-agent/store/store_folder.hpp"

namespace cistern::store {
namespace {

class Check {
 public:
  Check(Disk& disk, const StoreFolder& folder, const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : disk_(disk), files_(disk, folder.blobs()), progress_(progress) {}

  Result<CheckReport> run(const std::string& index_path) {
    if (auto listed = list(); !listed) return fail(std::move(listed.error()));
    for (const auto& [digest, size] : sizes_) {
      if (auto checked = check_file(digest); !checked) problem("{}", checked.error().message);
      done_ += size;
      if (progress_) progress_(done_, total_);
    }
    check_index(index_path);
    return std::move(report_);
  }

 private:
  template <class... Args>
  void problem(fmt::format_string<Args...> format, Args&&... args) {
    report_.problems.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  Result<void> list() {
    for (unsigned folder = 0; folder < BlobFiles::kFolders; ++folder) {
      std::uint64_t strangers = 0;
      const auto digests = files_.list(folder, &strangers);
      if (!digests) return fail(digests.error());
      if (strangers > 0) problem("blobs/{:02x}: {} files that are not named as blobs", folder, strangers);
      for (const Digest& digest : *digests) {
        const auto size = disk_.size_at(files_.path_of(digest));
        if (!size) return fail(size.error());
        sizes_.emplace(digest, *size);
        total_ += *size;
      }
    }
    return {};
  }

  Result<void> check_file(const Digest& digest) {
    const auto contents = files_.read(digest);
    if (!contents) return fail(contents.error());
    auto file = disk_.open(files_.path_of(digest), Disk::Mode::kRead);
    if (!file) return fail(std::move(file.error()));
    Sha256 hash;
    std::vector<std::byte> buffer(std::min<std::uint64_t>(contents->content_length, 1 << 20));
    for (std::uint64_t offset = 0; offset < contents->content_length;) {
      const std::size_t length = std::min<std::uint64_t>(buffer.size(), contents->content_length - offset);
      const auto read = disk_.read_at(**file, offset, std::span(buffer).first(length));
      if (!read) return fail(read.error());
      if (*read == 0) break;
      hash.update(std::span(buffer).first(*read));
      offset += *read;
    }
    if (hash.digest() != digest) problem("{}: the content has another digest: {}", files_.path_of(digest), hash.digest().oci());
    if (contents->records.damaged) problem("{}: a record is damaged", files_.path_of(digest));
    for (const RecordEntry& entry : contents->records.live) {
      Named& named = keys_[entry.record.key];
      if (entry.sequence >= named.sequence) named = {digest, entry.sequence};
    }
    ++report_.blobs;
    report_.bytes += contents->file_size;
    report_.keys = keys_.size();
    whole_.emplace(digest, contents->content_length + contents->records.length);
    return {};
  }

  // After an unclean end the index may lag behind the files, and the next start mends that; otherwise they agree.
  void check_index(const std::string& path) {
    auto db = IndexDb::open(path);
    if (!db) return problem("{}; the next start makes the index anew", db.error().message);
    SystemClock clock;
    Index index(nullptr, clock);
    const auto state = (*db)->load(index);
    if (!state) return problem("{}; the next start makes the index anew", state.error().message);
    if (!state->complete || !state->clean) return;
    for (const auto& [digest, length] : whole_) {
      if (sizes_.at(digest) != length) problem("{}: a record is torn off", files_.path_of(digest));
      if (!index.blob(digest)) problem("{}: the index does not know it", files_.path_of(digest));
    }
    for (const auto& [key, named] : keys_) {
      const auto digest = index.blob_of(key);
      if (!digest || *digest != named.digest) problem("{}: the index does not have its key {}", files_.path_of(named.digest), key);
    }
    const Index::Totals totals = index.totals();
    if (totals.keys != keys_.size()) problem("the index has {} keys, the files {}", totals.keys, keys_.size());
    if (totals.blobs != sizes_.size()) problem("the index has {} blobs, and there are {} files", totals.blobs, sizes_.size());
  }

  struct Named {
    Digest digest;
    std::uint64_t sequence = 0;
  };

  Disk& disk_;
  const BlobFiles files_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  CheckReport report_;
  std::map<Digest, std::uint64_t> sizes_;
  std::map<Digest, std::uint64_t> whole_;  // length up to the end of the last whole record
  std::map<std::string, Named> keys_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

Result<CheckReport> check_disk_store(const std::filesystem::path& path, const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const auto folder = StoreFolder::open_existing(path);
  if (!folder) return fail(folder.error());
  const auto disk = make_disk();
  return Check(*disk, *folder, progress).run(folder->index());
}

}  // namespace cistern::store
