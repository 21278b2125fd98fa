// Quantities as policies and configuration files write them: "20Gi", "15%", "1m30s".
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern {

// A number of bytes. A type of its own, so that a size is never passed where a count or an offset in another unit is meant.
struct Bytes {
  std::uint64_t count = 0;
  constexpr auto operator<=>(const Bytes&) const = default;
};
constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
constexpr Bytes kib(std::uint64_t n) { return {n << 10}; }
constexpr Bytes mib(std::uint64_t n) { return {n << 20}; }
constexpr Bytes gib(std::uint64_t n) { return {n << 30}; }

// Kubernetes quantities: a decimal number with Ki Mi Gi Ti Pi (1024) or k M G T P (1000), or none. "1.5Gi" is allowed.
Result<Bytes> parse_bytes(std::string_view text);
// The same, shortest exact form with a binary suffix: 21474836480 → "20Gi".
std::string to_string(Bytes bytes);
// For people, with one decimal: "1.4 GiB".
std::string human(Bytes bytes);

// Go durations: "300ms", "1m30s", "168h"; units ns us ms s m h. "0" is allowed; a sign is not.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// 90 s → "1m30s", 0 → "0s".
std::string to_string(std::chrono::milliseconds duration);

// "15%" → 15, between 0 and 100.
Result<unsigned> parse_percent(std::string_view text);

}  // namespace cistern
