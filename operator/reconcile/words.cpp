#include "operator/reconcile/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace cistern::reconcile {

std::string counted(std::size_t count, std::string_view what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); }

std::string few(const std::vector<std::string>& names, std::size_t most, std::string_view separator) {
  const auto shown = std::min(most, names.size());
  auto text = fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), separator));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

std::string one_line(std::string_view text) {
  using nlohmann::json;
  // The one UTF-8 decoder at hand that replaces what it can not read.
  const auto valid = json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
  std::string line;
  for (const char c : valid) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    if (c == '\n' && !line.empty() && !line.ends_with("; ")) {
      line += "; ";
    } else if (!control && !(c == ' ' && (line.empty() || line.back() == ' '))) {
      line += c;
    } else if (control && !line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == ';' || line.back() == '.')) line.pop_back();
  return line;
}

std::string cut(std::string text, std::size_t size) {
  constexpr std::string_view kMore = "…";
  if (text.size() <= size) return text;
  auto end = size < kMore.size() ? 0 : size - kMore.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + std::string(kMore);
}

}  // namespace cistern::reconcile
