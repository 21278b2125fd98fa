// A blob on its way to the disk.
#pragma once

#include <memory>
#include <string>

#include "cache-agent/store/disk_store.hpp"

namespace cistern::store {

// append() and commit() need the store to be there; the rest does not.
class DiskWriter final : public Writer {
 public:
  static Result<std::unique_ptr<Writer>> begin(DiskStore& store, std::optional<std::uint64_t> expected);
  ~DiskWriter() override;

  Result<void> append(std::span<const std::byte> bytes) override;
  std::uint64_t size() const override { return size_; }
  Digest digest() const override { return hash_.digest(); }
  std::shared_ptr<const File> file() const override { return file_; }
  Result<void> commit(std::vector<KeyRecord> keys) override;

 private:
  enum class State { kOpen, kFailed, kDone };

  DiskWriter(DiskStore& store, std::string temporary, std::shared_ptr<const File> file);
  Result<void> grow(std::uint64_t bytes);
  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes);
  Result<void> commit_open(const std::vector<KeyRecord>& keys);
  Result<DiskStore::Displaced> publish_locked(const Digest& digest, std::uint64_t file_size, const std::vector<RecordEntry>& entries);

  DiskStore& store_;
  const std::shared_ptr<Disk> disk_;
  std::string temporary_;  // empty once it has another name
  const std::shared_ptr<const File> file_;
  Reservation reservation_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
  std::uint64_t allocated_ = 0;
  std::string body_;  // while it is small
  State state_ = State::kOpen;
};

}  // namespace cistern::store
