// The central directory of a zip archive, read strictly, so that there is no doubt which files the archive holds.
//
// Zip readers differ in where they look for the directory and whom they believe when it disagrees with the rest. What we verify must be
// what `go` unpacks later (Go's archive/zip: the last end record wins, then the central directory alone counts). So an archive is accepted
// only in the form in which all readers agree, which is also the only form that `go` writes: the end record and its comment end the file,
// the directory lies right before it, holds exactly the promised entries, the first file starts at byte 0, and each local header repeats
// its entry's name and method.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/units.hpp"

namespace cistern::verify {

struct ZipEntry {
  std::string name;
  std::uint16_t method = 0;  // kStored or kDeflated
  std::uint32_t crc = 0;
  std::uint64_t packed = 0;
  std::uint64_t unpacked = 0;
  std::uint64_t header = 0;  // offset of its local header

  static constexpr std::uint16_t kStored = 0;
  static constexpr std::uint16_t kDeflated = 8;
};

// Entries in the directory's order. kCorrupt, naming what is wrong: also for encrypted entries, other methods, archives in parts, a
// directory larger than `max_directory`, single files of 4 GiB and more. kIo when reading fails. Blocks; does not move the file's position.
Result<std::vector<ZipEntry>> read_zip_directory(int file, Bytes max_directory);

}  // namespace cistern::verify
