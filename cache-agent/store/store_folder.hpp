// The folder that holds a store, and the right to use it.
//
//   LOCK      held (flock) by the process that uses the folder, whose number is in it
//   VERSION   the format's number, made last: a folder with it is complete
//   blobs/    ab/cdef…: one file a blob, named by its digest, in 256 folders
//   index.db  SQLite, with index.db-wal and index.db-shm
//   tmp/      what is being written; emptied when the store is opened
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/content.hpp"
#include "base/error.hpp"

namespace cistern::store {

class StoreFolder {
 public:
  // Makes what is missing (folders 0700), takes the lock, empties tmp/. Errors say what to do: kInvalid: not a folder, not a store's
  // folder, another version; kUnavailable: in use, and by which process; kNoSpace; kIo: not writable.
  static Result<StoreFolder> open(const std::filesystem::path& path);
  // The same for a folder that must be a store already. Empties nothing.
  static Result<StoreFolder> open_existing(const std::filesystem::path& path);

  const std::string& path() const { return path_; }
  std::string blobs() const { return path_ + "/blobs"; }
  std::string index() const { return path_ + "/index.db"; }
  std::string tmp() const { return path_ + "/tmp"; }

 private:
  StoreFolder(std::string path, std::unique_ptr<File> lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  std::unique_ptr<File> lock_;
};

}  // namespace cistern::store
