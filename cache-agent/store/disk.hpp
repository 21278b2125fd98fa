// The file system as the store uses it: the few calls on which durability rests, behind an interface, so that tests can put a disk
// under the store that fails, fills up, or forgets what was not synced (tests/fakes/disk.hpp).
//
// Thread-safe. Blocks. Every error names the call and the path. kNotFound: no such file; kNoSpace: full; anything else is kIo.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/content.hpp"
#include "base/error.hpp"

namespace cistern::store {

class Disk {
 public:
  enum class Mode {
    kRead,
    kReadWrite,
    kCreate,  // read and write; the file must not be there yet; made with mode 0600
  };
  struct Space {
    std::uint64_t total = 0;
    std::uint64_t free = 0;  // for us, that is without what is kept for root
  };

  virtual ~Disk() = default;

  virtual Result<std::shared_ptr<const File>> open(const std::string& path, Mode mode) = 0;
  // All of `bytes`, or an error.
  virtual Result<void> write_at(const File& file, std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  // As many bytes as there are up to the end of the file; fewer than asked for means the end.
  virtual Result<std::size_t> read_at(const File& file, std::uint64_t offset, std::span<std::byte> bytes) = 0;
  virtual Result<std::uint64_t> size(const File& file) = 0;
  virtual Result<std::uint64_t> size_at(const std::string& path) = 0;
  // Cuts the file, or frees what allocate() promised beyond `size`.
  virtual Result<void> truncate(const File& file, std::uint64_t size) = 0;
  // Sets disk blocks aside up to `size`, without changing the file's length. A file system that can not do so is no error.
  virtual Result<void> allocate(const File& file, std::uint64_t size) = 0;
  // When it returns, the file's bytes and length survive a power loss (its name may not: sync_folder).
  virtual Result<void> sync(const File& file) = 0;

  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  // When it returns, what was made, renamed or removed in the folder survives a power loss.
  virtual Result<void> sync_folder(const std::string& path) = 0;
  // Names in a folder, without "." and "..", in no order.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  virtual Result<Space> space(const std::string& path) = 0;
};

// The machine's own.
std::unique_ptr<Disk> make_disk();

}  // namespace cistern::store
