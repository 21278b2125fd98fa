// Bytes on their way out, named rather than copied: a piece of memory, or a piece of a file that sendfile can take.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

#include "base/async.hpp"
#include "base/error.hpp"

namespace cistern {

// Owns a file descriptor; closes it at the end. Immutable: every read from it names its offset, so threads may share one.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// `bytes` live as long as `owner` does.
struct MemorySlice {
  std::shared_ptr<const void> owner;
  std::string_view bytes;
};

struct FileSlice {
  std::shared_ptr<const File> file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

using Slice = std::variant<MemorySlice, FileSlice>;

std::uint64_t size_of(const Slice& slice);
// The part [offset, offset + length) of a slice; both must lie within it.
Slice part_of(const Slice& slice, std::uint64_t offset, std::uint64_t length);
// A slice that owns its text.
MemorySlice memory_slice(std::string text);

// A body that is not all there yet. Used by one reader, from the reader's own executor.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece, waiting for it if need be; an empty optional at the end. After an error or the end it is not called again.
  // kCorrupt, kUpstream, … mean: the body can not be completed; whoever sends it closes the connection short.
  virtual Awaitable<Result<std::optional<Slice>>> next() = 0;
  // The reader has gone. Called on the reader's executor while next() waits, which then ends soon with kCancelled; or never.
  virtual void cancel() {}
};

}  // namespace cistern
