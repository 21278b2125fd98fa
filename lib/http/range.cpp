// RFC 9110 §14: a Range that can not be understood is as if it were not there; only one that is understood and lies past the end is 416.
#include <algorithm>
#include <charconv>

#include "http/message.hpp"

namespace cistern::http {

namespace {

// Digits only, and all of them; a number beyond 2^64 is taken for the largest, which means the same for any real body.
bool parse_position(std::string_view text, std::optional<std::uint64_t>& position) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  position = error == std::errc::result_out_of_range ? UINT64_MAX : value;
  return true;
}

std::string_view without_spaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<RangeRequest> parse_range(std::string_view header_value) {
  constexpr std::string_view kUnit = "bytes=";
  const std::string_view value = without_spaces(header_value);
  if (!equal_ignoring_case(value.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  const std::string_view range = without_spaces(value.substr(kUnit.size()));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first = range.substr(0, dash);
  const std::string_view last = range.substr(dash + 1);
  RangeRequest request;
  if (!first.empty() && !parse_position(first, request.first)) return std::nullopt;
  if (!last.empty() && !parse_position(last, request.last)) return std::nullopt;
  if (!request.first && !request.last) return std::nullopt;
  if (request.first && request.last && *request.last < *request.first) return std::nullopt;
  return request;
}

RangeKind resolve_range(const RangeRequest& request, std::uint64_t size, ByteRange& range) {
  if (!request.first) {
    if (!request.last) return RangeKind::kNone;
    const std::uint64_t length = std::min(*request.last, size);
    if (length == 0) return RangeKind::kUnsatisfiable;
    range = {size - length, length};
    return RangeKind::kSatisfiable;
  }
  if (*request.first >= size) return RangeKind::kUnsatisfiable;
  const std::uint64_t last = std::min(request.last.value_or(UINT64_MAX), size - 1);
  if (last < *request.first) return RangeKind::kNone;
  range = {*request.first, last - *request.first + 1};
  return RangeKind::kSatisfiable;
}

}  // namespace cistern::http
