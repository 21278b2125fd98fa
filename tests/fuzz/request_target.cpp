// link: cistern_http
// Any bytes as the head of a request: whatever is taken must be unambiguous, and the same however the bytes arrive.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/parser.hpp"

namespace {

using namespace cistern::http;

void check(bool condition) {
  if (!condition) std::abort();
}

bool is_plain(std::string_view text, bool spaces) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0x7f || (byte < 0x20 && !(spaces && c == '\t')) || (!spaces && byte == ' ')) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  HeadLimits limits;
  limits.allow_body = size % 2 == 1;
  Request request;
  const ParsedHead head = parse_head(input, limits, request);
  if (head.state != ParsedHead::State::kComplete) return 0;

  check(head.size <= size && head.size <= limits.max_size && input.substr(0, head.size).ends_with("\r\n\r\n"));
  check(request.target.starts_with('/') && is_plain(request.target, false));
  check(request.headers.count("Host") <= 1 && request.headers.count("Content-Length") <= 1);
  const bool reads = request.method == Method::kGet || request.method == Method::kHead;
  if (reads) check(request.headers.count("Transfer-Encoding") == 0 && head.content_length == 0 && !head.unread_body);
  if (head.unread_body) check(!head.keep_alive);
  for (const auto& [name, value] : request.headers.all()) check(!name.empty() && is_plain(name, false) && is_plain(value, true));
  (void)query_values(request.query(), "ns");

  // What follows the head does not change it, and nothing shorter is a request.
  Request again;
  check(parse_head(input.substr(0, head.size), limits, again).size == head.size && again.headers == request.headers);
  check(parse_head(input.substr(0, head.size - 1), limits, again).state == ParsedHead::State::kIncomplete);
  return 0;
}
