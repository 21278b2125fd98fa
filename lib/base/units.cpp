#include "base/units.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace cistern {
namespace {

struct Suffix {
  std::string_view text;
  double factor;
};

constexpr std::array<Suffix, 11> kSizes = {{{"Ki", 1024.0},
                                            {"Mi", 1048576.0},
                                            {"Gi", 1073741824.0},
                                            {"Ti", 1099511627776.0},
                                            {"Pi", 1125899906842624.0},
                                            {"k", 1e3},
                                            {"M", 1e6},
                                            {"G", 1e9},
                                            {"T", 1e12},
                                            {"P", 1e15},
                                            {"", 1.0}}};

// Milliseconds in each unit.
constexpr std::array<Suffix, 7> kDurations = {
    {{"ms", 1.0}, {"us", 1e-3}, {"µs", 1e-3}, {"ns", 1e-6}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}}};

// A decimal number without sign or exponent at the start of `text`, which it is cut from.
bool take_number(std::string_view& text, double& value) {
  std::size_t length = 0;
  while (length < text.size() && ((text[length] >= '0' && text[length] <= '9') || text[length] == '.')) ++length;
  if (length == 0) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + length) return false;
  text.remove_prefix(length);
  return true;
}

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  std::string_view rest = text;
  double value = 0;
  if (take_number(rest, value)) {
    for (const auto& suffix : kSizes) {
      if (rest != suffix.text) continue;
      const double bytes = value * suffix.factor;
      if (bytes > 9.0e18) break;
      return Bytes{static_cast<std::uint64_t>(std::llround(bytes))};
    }
  }
  return fail(ErrorCode::kInvalid, "\"{}\" is not a size; write a number with Ki, Mi, Gi or Ti, as in \"20Gi\"", text);
}

std::string to_string(Bytes bytes) {
  static constexpr std::array<std::string_view, 6> kNames = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
  std::uint64_t value = bytes.count;
  std::size_t unit = 0;
  while (value != 0 && value % 1024 == 0 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", value, kNames[unit]);
}

std::string human(Bytes bytes) {
  static constexpr std::array<std::string_view, 6> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes.count);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes.count) : fmt::format("{:.1f} {}", value, kNames[unit]);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::string_view rest = text;
  double total = 0;
  if (text == "0") return std::chrono::milliseconds(0);
  bool valid = !rest.empty();
  while (valid && !rest.empty()) {
    double value = 0;
    valid = take_number(rest, value);
    if (!valid) break;
    valid = false;
    for (const auto& unit : kDurations) {
      if (!rest.starts_with(unit.text)) continue;
      rest.remove_prefix(unit.text.size());
      total += value * unit.factor;
      valid = total < 9.0e15;
      break;
    }
  }
  if (!valid) {
    return fail(ErrorCode::kInvalid, "\"{}\" is not a duration; write a number with ms, s, m or h, as in \"30s\" or \"1m30s\"", text);
  }
  return std::chrono::milliseconds(std::llround(total));
}

std::string to_string(std::chrono::milliseconds duration) {
  auto rest = duration.count();
  if (rest == 0) return "0s";
  std::string text;
  const auto take = [&](std::int64_t unit, std::string_view name) {
    if (rest / unit > 0) fmt::format_to(std::back_inserter(text), "{}{}", rest / unit, name);
    rest %= unit;
  };
  take(3'600'000, "h");
  take(60'000, "m");
  take(1'000, "s");
  take(1, "ms");
  return text;
}

Result<unsigned> parse_percent(std::string_view text) {
  unsigned value = 0;
  if (text.ends_with('%')) {
    const auto* last = text.data() + text.size() - 1;
    const auto [end, error] = std::from_chars(text.data(), last, value);
    if (error == std::errc() && end == last && value <= 100) return value;
  }
  return fail(ErrorCode::kInvalid, "\"{}\" is not a percentage; write a whole number from 0% to 100%", text);
}

}  // namespace cistern
