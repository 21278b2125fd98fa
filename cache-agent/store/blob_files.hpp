// The blob files: where they lie, and what is done to them as a whole. blob_record.hpp has their format.
//
// Functions that take a digest need the caller to hold the lock of its folder (folder_of): one operation on a blob's file at a time.
#pragma once

#include <atomic>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cache-agent/store/blob_record.hpp"
#include "cache-agent/store/disk.hpp"

namespace cistern::store {

class BlobFiles {
 public:
  static constexpr unsigned kFolders = 256;

  struct Contents {
    std::uint64_t content_length = 0;
    std::uint64_t file_size = 0;
    RecordRegion records;
  };

  // `folder` is the store's blobs/.
  BlobFiles(Disk& disk, std::string folder) : disk_(disk), folder_(std::move(folder)) {}

  static unsigned folder_of(const Digest& digest) { return digest.bytes[0]; }
  std::string path_of(const Digest& digest) const;

  // What the file's records say. kNotFound: no file. kCorrupt: no record can be read. Other errors say nothing about the file.
  Result<Contents> read(const Digest& digest) const;
  // Cuts off what a crash left of a record.
  Result<void> cut(const Digest& digest, std::uint64_t file_size);
  // Adds a record, durably, and gives the file's new size. kCorrupt: the file's size is not `file_size`, so somebody has to look first.
  // After any error the file is as before, or no one can tell.
  Result<std::uint64_t> append(const Digest& digest, std::uint64_t file_size, const BlobRecord& record);
  // Gives a finished, synced file its name, durably.
  Result<void> publish(const std::string& temporary, const Digest& digest);
  // Not durable before sync_removals(). No file is no error.
  Result<void> remove(const Digest& digest);
  Result<void> sync_removals();
  // The blobs in one of the folders. What is not named as a blob is left out, and counted in `strangers` if that is given.
  Result<std::vector<Digest>> list(unsigned folder, std::uint64_t* strangers = nullptr) const;

 private:
  std::string path_of_folder(unsigned folder) const;

  Disk& disk_;
  const std::string folder_;
  std::array<std::atomic<bool>, kFolders> removed_{};  // folders with removals that are not synced
};

}  // namespace cistern::store
