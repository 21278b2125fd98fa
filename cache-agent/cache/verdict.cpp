#include "cache-agent/cache/verdict.hpp"

#include <algorithm>
#include <charconv>

namespace cistern::cache {
namespace {

constexpr std::uint64_t kLongestExplanation = 2048;

std::optional<std::chrono::seconds> retry_after(const upstream::Head& head) {
  const auto value = head.headers.get("Retry-After");
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace

bool is_absent(const Error& error) { return error.code == ErrorCode::kNotFound || error.code == ErrorCode::kGone; }

Error error_of_status(const std::string& upstream, const upstream::Head& head, std::string text) {
  const auto says = text.empty() ? fmt::format("{} answers {}", upstream, head.status) : std::move(text);
  switch (head.status) {
    case 404: return Error{ErrorCode::kNotFound, says, std::nullopt};
    case 410: return Error{ErrorCode::kGone, says, std::nullopt};
    case 401:
      return Error{ErrorCode::kForbidden, fmt::format("{} wants credentials (401); check its credentialsRef", upstream), std::nullopt};
    case 403: return Error{ErrorCode::kForbidden, says, std::nullopt};
    case 429: return Error{ErrorCode::kTooManyRequests, fmt::format("{} limits the rate of requests (429)", upstream), retry_after(head)};
    default: return Error{ErrorCode::kUpstream, fmt::format("{} answers {}", upstream, head.status), std::nullopt};
  }
}

bool may_ask_next(const Source& source, const Error& error) {
  if (source.peer) return !is_absent(error) && error.code != ErrorCode::kTooManyRequests;
  return source.canary || source.fallback == config::Fallback::kAny || is_absent(error);
}

Error verdict(const std::vector<Error>& errors) {
  const auto failure = std::find_if(errors.begin(), errors.end(), [](const Error& error) { return !is_absent(error); });
  return failure != errors.end() ? *failure : errors.back();
}

bool stale_is_better(const Error& error) {
  switch (error.code) {
    case ErrorCode::kTimeout:
    case ErrorCode::kUpstream:
    case ErrorCode::kUnavailable:
    case ErrorCode::kTooManyRequests:
    case ErrorCode::kCorrupt: return true;
    default: return false;
  }
}

std::optional<std::uint64_t> content_range_start(std::string_view value) {
  static constexpr std::string_view kUnit = "bytes ";
  if (!value.starts_with(kUnit)) return std::nullopt;
  value.remove_prefix(kUnit.size());
  std::uint64_t start = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), start);
  if (error != std::errc() || end == value.data() + value.size() || *end != '-') return std::nullopt;
  return start;
}

Awaitable<Result<std::string>> read_all(upstream::Transfer& transfer, std::uint64_t limit) {
  std::string body;
  for (;;) {
    auto chunk = co_await transfer.read();
    if (!chunk) co_return fail(chunk.error());
    if (chunk->empty()) co_return body;
    if (body.size() + chunk->size() > limit) co_return fail(ErrorCode::kUpstream, "the answer is larger than the limit of {} bytes", limit);
    body += *chunk;
  }
}

Awaitable<std::string> explanation(upstream::Transfer& transfer) {
  const auto& head = transfer.head();
  const bool plain = head.headers.get("Content-Type").starts_with("text/plain");
  if (!plain || head.length.value_or(0) > kLongestExplanation) co_return std::string();
  auto text = co_await read_all(transfer, kLongestExplanation);
  if (!text) co_return std::string();
  while (!text->empty() && text->back() == '\n') text->pop_back();
  // One that could confuse a terminal or a log is not passed on.
  const bool clean = std::all_of(text->begin(), text->end(), [](unsigned char c) { return c >= 0x20 || c == '\n' || c == '\t'; });
  co_return clean ? std::move(*text) : std::string();
}

}  // namespace cistern::cache
