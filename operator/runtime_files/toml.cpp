#include "operator/runtime_files/toml.hpp"

#include <sstream>

namespace cistern::runtime_files {

Result<toml::table> parse_toml(std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kInvalid, "line {}: {}", error.source().begin.line, error.description());
  }
}

std::string text_at(const toml::table& table, std::string_view key) { return table[key].value_or(std::string()); }

bool is_true(const toml::table& table, std::string_view key) { return table[key].value_or(false); }

std::vector<std::string> texts_at(const toml::table& table, std::string_view key) {
  std::vector<std::string> texts;
  if (const auto one = table[key].value<std::string>()) texts.push_back(*one);
  if (const auto* array = table[key].as_array()) {
    for (const auto& element : *array) {
      if (const auto text = element.value<std::string>()) texts.push_back(*text);
    }
  }
  return texts;
}

std::string to_toml(const toml::node& value) {
  std::ostringstream out;
  // Strings of one form only, on one line.
  const auto flags =
      toml::toml_formatter::default_flags & ~toml::format_flags::allow_literal_strings & ~toml::format_flags::allow_multi_line_strings;
  value.visit([&](const auto& node) { out << toml::toml_formatter(node, flags); });
  std::string text = out.str();
  // An array that the formatter breaks over lines is one line here.
  for (char& character : text) character = character == '\n' ? ' ' : character;
  return text;
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') out += '\\';
    if (static_cast<unsigned char>(character) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(character));
    } else {
      out += character;
    }
  }
  return out + '"';
}

}  // namespace cistern::runtime_files
