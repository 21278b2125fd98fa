// Text forms of bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern {

// Lower-case hex.
std::string to_hex(std::span<const std::uint8_t> bytes);
// Standard base64 with padding (RFC 4648 §4).
std::string to_base64(std::string_view bytes);
// Strict: standard alphabet, padding required, no white space.
Result<std::string> from_base64(std::string_view text);
// RFC 3986: everything but unreserved characters becomes %XX.
std::string percent_encode(std::string_view text);
// Decodes %XX once; a broken escape or an encoded NUL is kInvalid. '+' stays '+'.
Result<std::string> percent_decode(std::string_view text);

}  // namespace cistern
