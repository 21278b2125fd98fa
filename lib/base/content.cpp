#include "base/content.hpp"

#include <unistd.h>

#include <string>

namespace cistern {

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint64_t size_of(const Slice& slice) {
  if (const auto* memory = std::get_if<MemorySlice>(&slice)) return memory->bytes.size();
  return std::get<FileSlice>(slice).length;
}

Slice part_of(const Slice& slice, std::uint64_t offset, std::uint64_t length) {
  if (const auto* memory = std::get_if<MemorySlice>(&slice)) return MemorySlice{memory->owner, memory->bytes.substr(offset, length)};
  const auto& file = std::get<FileSlice>(slice);
  return FileSlice{file.file, file.offset + offset, length};
}

MemorySlice memory_slice(std::string text) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  const std::string_view bytes = *owner;
  return MemorySlice{std::move(owner), bytes};
}

}  // namespace cistern
