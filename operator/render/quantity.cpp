#include "operator/render/quantity.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace cistern::render {
namespace {

__extension__ using Wide = unsigned __int128;

enum class Format { kDecimal, kExponent, kBinary };

constexpr Wide kThousand = 1000;
constexpr Wide kMaxWhole = static_cast<Wide>(INT64_MAX);
// So many digits and such exponents can not overflow 128 bits.
constexpr std::size_t kMaxDigits = 15;
constexpr int kMaxExponent = 18;

struct Suffix {
  Format format;
  int exponent;  // of 10, or of 1024
};

std::optional<Suffix> parse_suffix(std::string_view text) {
  static constexpr std::string_view kBinary = "KMGTPE";
  static constexpr std::array<std::pair<std::string_view, int>, 10> kDecimal = {
      {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0}, {"k", 3}, {"M", 6}, {"G", 9}, {"T", 12}, {"P", 15}, {"E", 18}}};
  for (const auto& [name, exponent] : kDecimal) {
    if (text == name) return Suffix{Format::kDecimal, exponent};
  }
  if (text.size() == 2 && text[1] == 'i' && kBinary.find(text[0]) != std::string_view::npos) {
    return Suffix{Format::kBinary, static_cast<int>(kBinary.find(text[0])) + 1};
  }
  if (text[0] != 'e' && text[0] != 'E') return std::nullopt;
  text.remove_prefix(text.size() > 1 && text[1] == '+' ? 2 : 1);
  int exponent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
  if (error != std::errc() || end != text.data() + text.size() || exponent < -kMaxExponent || exponent > kMaxExponent) return std::nullopt;
  return Suffix{Format::kExponent, exponent};
}

Wide power(Wide base, int exponent) {
  Wide result = 1;
  for (int i = 0; i < exponent; ++i) result *= base;
  return result;
}

struct Quantity {
  Wide thousandths = 0;
  Format format = Format::kDecimal;
};

std::optional<Quantity> parse_quantity(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  Wide digits = 0;
  std::size_t count = 0;
  int places = 0;
  bool point = false;
  std::size_t at = 0;
  for (; at < text.size() && (is_digit(text[at]) || (text[at] == '.' && !point)); ++at) {
    if (text[at] == '.') {
      point = true;
      continue;
    }
    digits = digits * 10 + static_cast<unsigned>(text[at] - '0');
    places += point ? 1 : 0;
    if (++count > kMaxDigits) return std::nullopt;
  }
  if (count == 0) return std::nullopt;
  const auto suffix = parse_suffix(text.substr(at));
  if (!suffix) return std::nullopt;
  const bool binary = suffix->format == Format::kBinary;
  const int exponent = binary ? 0 : suffix->exponent;
  const Wide scaled = digits * kThousand * (binary ? power(1024, suffix->exponent) : power(10, std::max(0, exponent)));
  const Wide divisor = power(10, places + std::max(0, -exponent));
  const Wide thousandths = (scaled + divisor - 1) / divisor;
  if (thousandths > kMaxWhole * kThousand) return std::nullopt;
  return Quantity{thousandths, suffix->format};
}

std::string digits_of(Wide value) {
  std::string text;
  do {
    text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value > 0);
  return text;
}

std::string written(const Quantity& quantity) {
  Wide number = quantity.thousandths;
  if (number == 0) return "0";
  const bool whole = number % kThousand == 0;
  if (quantity.format == Format::kBinary && whole && number >= 1024 * kThousand) {
    static constexpr std::array<const char*, 7> kSuffixes = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    number /= kThousand;
    std::size_t exponent = 0;
    for (; number % 1024 == 0 && exponent + 1 < kSuffixes.size(); ++exponent) number /= 1024;
    return digits_of(number) + kSuffixes[exponent];
  }
  static constexpr std::array<const char*, 8> kSuffixes = {"m", "", "k", "M", "G", "T", "P", "E"};
  std::size_t thousands = 0;
  for (; number % kThousand == 0 && thousands + 1 < kSuffixes.size(); ++thousands) number /= kThousand;
  if (quantity.format != Format::kExponent) return digits_of(number) + kSuffixes[thousands];
  const int exponent = static_cast<int>(thousands) * 3 - 3;
  return exponent == 0 ? digits_of(number) : digits_of(number) + "e" + std::to_string(exponent);
}

}  // namespace

std::string canonical_quantity(std::string_view text) {
  const auto quantity = parse_quantity(text);
  return quantity ? written(*quantity) : std::string(text);
}

nlohmann::json canonical_resources(nlohmann::json resources) {
  for (const auto* kind : {"requests", "limits"}) {
    const auto found = resources.find(kind);
    if (found == resources.end() || !found->is_object()) continue;
    for (auto& value : *found) {
      if (value.is_string()) value = canonical_quantity(value.get<std::string>());
      if (value.is_number()) value = canonical_quantity(value.dump());
    }
  }
  return resources;
}

nlohmann::json without_empty_members(const nlohmann::json& part) {
  if (!part.is_structured()) return part;
  nlohmann::json result = part.is_object() ? nlohmann::json::object() : nlohmann::json::array();
  for (const auto& item : part.items()) {
    if (part.is_array()) {
      result.push_back(without_empty_members(item.value()));
      continue;
    }
    const auto& value = item.value();
    const bool empty = value.is_null() || value == "" || (value.is_array() && value.empty());
    if (!empty) result[item.key()] = without_empty_members(value);
  }
  return result;
}

}  // namespace cistern::render
