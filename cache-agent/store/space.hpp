// How much may be stored: the quota over files and reservations, and the share of the file system that stays free.
//
// Space is reserved before it is written. Whoever needs more than there is asks the store to evict, outside of any lock here.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/units.hpp"
#include "cache-agent/store/disk.hpp"

namespace cistern::store {

// Where the size is not known, space is reserved in steps of at least this, growing with the object up to the larger.
inline constexpr std::uint64_t kFirstStep = 64 << 10;
inline constexpr std::uint64_t kLargestStep = 16 << 20;

// Thread-safe. Holds its lock across a statvfs at most once a second.
class Space {
 public:
  struct Limits {
    Bytes size;
    unsigned min_free_percent = 0;
  };
  struct Answer {
    bool granted = false;
    std::uint64_t missing = 0;  // evict as much and ask again; 0 and not granted: eviction can not help
  };

  // Without a disk only the quota counts. `clock` outlives it.
  Space(Limits limits, std::shared_ptr<Disk> disk, std::string path, const Clock& clock)
      : limits_(limits), disk_(std::move(disk)), path_(std::move(path)), clock_(clock) {}

  // `used`: bytes of files that there are now.
  Answer reserve(std::uint64_t bytes, std::uint64_t used);
  // Gives back a reservation, of which `landed` bytes had been announced by land().
  void release(std::uint64_t bytes, std::uint64_t landed);
  // So many reserved bytes are on the disk now.
  void land(std::uint64_t bytes);
  // A file of so many bytes has been removed.
  void freed(std::uint64_t bytes);
  std::uint64_t reserved() const;

 private:
  // What may still be written to the file system; nullopt: unknown, or no limit.
  std::optional<std::int64_t> writable();

  const Limits limits_;
  const std::shared_ptr<Disk> disk_;
  const std::string path_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::uint64_t reserved_ = 0;
  std::uint64_t landed_ = 0;  // of the reserved, those that the file system counts as used already
  std::optional<SteadyTime> measured_;
  std::optional<std::int64_t> writable_;  // as measured, corrected by what landed and was freed since
};

// Bytes that are promised to one writer; given back at the end. One thread at a time.
class Reservation {
 public:
  explicit Reservation(std::shared_ptr<Space> space) : space_(std::move(space)) {}
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation() { release(); }

  Space::Answer grow(std::uint64_t bytes, std::uint64_t used) {
    const Space::Answer answer = space_->reserve(bytes, used);
    if (answer.granted) bytes_ += bytes;
    return answer;
  }
  // Tells that the first `total` bytes of it are on the disk.
  void landed(std::uint64_t total) {
    if (total > bytes_) total = bytes_;
    if (total <= landed_) return;
    space_->land(total - landed_);
    landed_ = total;
  }
  void release() {
    space_->release(bytes_, landed_);
    bytes_ = landed_ = 0;
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Space> space_;
  std::uint64_t bytes_ = 0;
  std::uint64_t landed_ = 0;
};

}  // namespace cistern::store
