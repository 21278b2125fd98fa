// link: cistern_http
// Any bytes as a Range header, of a body whose size is the first eight: what is satisfiable lies within the body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "http/message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cistern::http;
  std::uint64_t body = 0;
  if (size < sizeof body) return 0;
  std::memcpy(&body, data, sizeof body);
  const auto request = parse_range({reinterpret_cast<const char*>(data) + sizeof body, size - sizeof body});
  if (!request) return 0;
  ByteRange range;
  if (resolve_range(*request, body, range) != RangeKind::kSatisfiable) return 0;
  if (range.length == 0 || range.offset >= body || range.length > body - range.offset) std::abort();
  return 0;
}
