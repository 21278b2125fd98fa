#include "cache-agent/observe/access_log.hpp"

#include <algorithm>
#include <string_view>

#include "cache-agent/observe/metrics.hpp"

namespace cistern::observe {
namespace {

constexpr std::size_t kMaxText = 512;

// Text of a client's as one word of a line: whatever could end the word or the line becomes \xNN.
std::string word(std::string_view text) {
  if (text.empty()) return "-";
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text.substr(0, kMaxText)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      safe += fmt::format("\\x{:02x}", byte);
    } else {
      safe += c;
    }
  }
  if (text.size() > kMaxText) safe += "...";
  return safe;
}

std::string line(const http::Exchange& exchange) {
  const auto* request = exchange.request;
  const bool known = request != nullptr;
  auto text = fmt::format("request client={} method={} target={} status={}", word(known ? request->remote : ""),
                          word(known ? request->method_text : ""), word(known ? request->path() : ""), exchange.status);
  if (*exchange.annotation.ecosystem != '\0') text += fmt::format(" ecosystem={}", exchange.annotation.ecosystem);
  if (*exchange.annotation.result != '\0') text += fmt::format(" result={}", exchange.annotation.result);
  const auto tenths = exchange.duration.count() / 100;
  text += fmt::format(" bytes={} ms={}.{}", exchange.sent_bytes, tenths / 10, tenths % 10);
  if (!exchange.complete) text += " complete=false";
  return text;
}

// A hit, or something that is no ecosystem's and went well: nothing to learn from each of them. A client that hangs up in the middle of a
// hit is no error.
bool is_ordinary(const http::Exchange& exchange) {
  const std::string_view result = exchange.annotation.result;
  if (exchange.status >= 400) return false;
  return result == "hit" || (*exchange.annotation.ecosystem == '\0' && result.empty());
}

}  // namespace

void AccessLog::configure(std::chrono::milliseconds slow, unsigned hits_one_in) {
  slow_us_ = std::chrono::microseconds(slow).count();
  hits_one_in_ = hits_one_in;
}

bool AccessLog::is_worth_a_line(const http::Exchange& exchange) {
  if (!is_ordinary(exchange) || exchange.duration.count() >= slow_us_.load(std::memory_order_relaxed)) return true;
  const auto one_in = hits_one_in_.load(std::memory_order_relaxed);
  return one_in != 0 && hits_.fetch_add(1, std::memory_order_relaxed) % one_in == 0;
}

void AccessLog::record(const http::Exchange& exchange) {
  if (!is_worth_a_line(exchange)) return;
  logger_->log(exchange.status >= 500 ? spdlog::level::warn : spdlog::level::info, "{}", line(exchange));
}

http::Observer make_observer(Metrics& metrics, AccessLog& log) {
  return [&metrics, &log](const http::Exchange& exchange) {
    metrics.request(exchange);
    log.record(exchange);
  };
}

}  // namespace cistern::observe
