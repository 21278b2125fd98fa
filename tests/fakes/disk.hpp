// A disk under the store that stops, fills up, or forgets what was not synced.
//
// It works on real files through the machine's disk, and remembers beside them what a power loss would leave: the bytes of a file as they
// were at its last sync, and the names in a folder as they were at the folder's last sync. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache-agent/store/disk.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::fakes {

class FaultyDisk final : public store::Disk {
 public:
  enum class Survives {
    kEverything,   // kill -9: the kernel has all that was written
    kOnlySynced,   // power loss, and nothing made it but what was promised
    kNamesAndHalf  // power loss; names made it, and of bytes that were not synced the first half
  };

  // `folder` is the store's blobs/; what is in it at first counts as durable.
  explicit FaultyDisk(std::string folder) : folder_(std::move(folder)), disk_(store::make_disk()) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (!entry.is_regular_file()) continue;
      auto node = std::make_shared<Node>();
      node->durable = read_file(entry.path());
      now_[entry.path()] = durable_[entry.path()] = node;
    }
  }

  // From the `count`th change on (1 is the next one) nothing happens any more but errors; the write it hits does half of its work. 0:
  // never.
  void stop_at(std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    stop_at_ = count == 0 ? 0 : steps_ + count;
  }
  bool stopped() const {
    const std::lock_guard lock(mutex_);
    return stop_at_ != 0 && steps_ >= stop_at_;
  }
  // Writes fail with kNoSpace until so many files have been removed.
  void fill_up(std::uint64_t until_removed) {
    const std::lock_guard lock(mutex_);
    full_until_removed_ = until_removed;
  }

  // Makes the folder what it would be after the crash. Nobody uses the disk any more.
  void crash(Survives survives) {
    const std::lock_guard lock(mutex_);
    if (survives == Survives::kEverything) return;
    std::map<std::string, std::string> left;
    for (const auto& [path, node] : survives == Survives::kOnlySynced ? durable_ : now_) {
      std::string bytes = node->durable;
      if (survives == Survives::kNamesAndHalf) {
        const std::string written = read_file(path);
        const std::size_t half = bytes.size() + (written.size() > bytes.size() ? (written.size() - bytes.size()) / 2 : 0);
        bytes = written.substr(0, half);
      }
      if (path.starts_with(folder_)) left[path] = bytes;
    }
    for (const auto& [path, node] : now_) std::filesystem::remove(path);
    for (const auto& [path, bytes] : left) std::ofstream(path, std::ios::binary) << bytes;
  }

  Result<std::shared_ptr<const File>> open(const std::string& path, Mode mode) override {
    const std::lock_guard lock(mutex_);
    if (mode == Mode::kCreate && !step()) return off();
    auto file = disk_->open(path, mode);
    if (!file) return file;
    if (mode == Mode::kCreate) now_[path] = std::make_shared<Node>();
    files_[file->get()] = {path, now_[path]};
    return file;
  }
  Result<void> write_at(const File& file, std::uint64_t offset, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    if (full_until_removed_ > 0) return fail(ErrorCode::kNoSpace, "the disk is full");
    if (step()) return disk_->write_at(file, offset, bytes);
    if (steps_ == stop_at_) static_cast<void>(disk_->write_at(file, offset, bytes.first(bytes.size() / 2)));
    return off();
  }
  Result<std::size_t> read_at(const File& file, std::uint64_t offset, std::span<std::byte> bytes) override {
    return disk_->read_at(file, offset, bytes);
  }
  Result<std::uint64_t> size(const File& file) override { return disk_->size(file); }
  Result<std::uint64_t> size_at(const std::string& path) override { return disk_->size_at(path); }
  Result<void> truncate(const File& file, std::uint64_t size) override {
    const std::lock_guard lock(mutex_);
    return step() ? disk_->truncate(file, size) : off();
  }
  Result<void> allocate(const File& file, std::uint64_t size) override {
    const std::lock_guard lock(mutex_);
    return step() ? disk_->allocate(file, size) : off();
  }
  Result<void> sync(const File& file) override {
    const std::lock_guard lock(mutex_);
    if (!step()) return off();
    auto& [path, node] = files_.at(&file);
    std::string bytes(*disk_->size(file), '\0');
    static_cast<void>(disk_->read_at(file, 0, std::as_writable_bytes(std::span(bytes))));
    node->durable = std::move(bytes);
    return {};
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(mutex_);
    if (!step()) return off();
    if (auto done = disk_->rename(from, to); !done) return done;
    now_[to] = now_.at(from);
    now_.erase(from);
    return {};
  }
  Result<void> remove(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    if (!step()) return off();
    if (auto done = disk_->remove(path); !done) return done;
    now_.erase(path);
    if (full_until_removed_ > 0) --full_until_removed_;
    return {};
  }
  Result<void> sync_folder(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    if (!step()) return off();
    const auto within = [&](const auto& named) { return std::filesystem::path(named.first).parent_path() == path; };
    std::erase_if(durable_, within);
    for (const auto& named : now_) {
      if (within(named)) durable_.insert(named);
    }
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& path) override { return disk_->list(path); }
  Result<Space> space(const std::string& path) override { return disk_->space(path); }

 private:
  struct Node {
    std::string durable;
  };

  bool step() { return ++steps_ < stop_at_ || stop_at_ == 0; }
  static Failure off() { return fail(ErrorCode::kIo, "the machine is off"); }

  const std::string folder_;
  const std::unique_ptr<store::Disk> disk_;
  mutable std::mutex mutex_;
  std::uint64_t steps_ = 0;
  std::uint64_t stop_at_ = 0;
  std::uint64_t full_until_removed_ = 0;
  std::map<std::string, std::shared_ptr<Node>> now_;
  std::map<std::string, std::shared_ptr<Node>> durable_;
  std::map<const File*, std::pair<std::string, std::shared_ptr<Node>>> files_;
};

}  // namespace cistern::fakes
