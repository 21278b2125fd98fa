// CRC-32C (Castagnoli): finds damage, not malice.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cistern::store {

// Continues from `crc`, which is 0 for the first piece.
std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes);
inline std::uint32_t crc32c(std::uint32_t crc, std::string_view text) { return crc32c(crc, std::as_bytes(std::span(text))); }

}  // namespace cistern::store
