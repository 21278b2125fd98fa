#include "operator/init/toml_lines.hpp"

#include <algorithm>

namespace cistern::init {
namespace {

void skip_space(std::string_view& text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\t' || text[0] == '\r' || text[0] == '\n')) text.remove_prefix(1);
}

// A bare or quoted word at the start of `text`, which it is cut from.
std::string take_word(std::string_view& text) {
  skip_space(text);
  std::string word;
  if (!text.empty() && (text[0] == '"' || text[0] == '\'')) {
    const char quote = text[0];
    std::size_t at = 1;
    for (; at < text.size() && text[at] != quote; ++at) {
      if (quote == '"' && text[at] == '\\' && at + 1 < text.size()) ++at;
      word += text[at];
    }
    text.remove_prefix(std::min(at + 1, text.size()));
    return word;
  }
  const auto end = std::min(text.find_first_of(" \t\r\n.,=[]{}#\"'"), text.size());
  word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

// a."b.c".d up to what is no part of it.
std::vector<std::string> take_path(std::string_view& text) {
  std::vector<std::string> path = {take_word(text)};
  skip_space(text);
  while (text.starts_with('.')) {
    text.remove_prefix(1);
    path.push_back(take_word(text));
    skip_space(text);
  }
  return path;
}

// A string, a boolean or number as its text, or a list of strings; a list may go over several lines.
std::vector<std::string> take_values(std::string_view& text) {
  skip_space(text);
  if (!text.starts_with('[')) return {take_word(text)};
  text.remove_prefix(1);
  std::vector<std::string> values;
  for (;;) {
    skip_space(text);
    if (text.starts_with('#')) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.starts_with('"') || text.starts_with('\'')) {
      values.push_back(take_word(text));
    } else if (text.starts_with(',')) {
      text.remove_prefix(1);
    } else {
      return values;
    }
  }
}

}  // namespace

const TomlTable::Entry* TomlTable::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

std::string TomlTable::get(std::string_view key) const {
  const Entry* entry = find(key);
  return entry == nullptr || entry->values.empty() ? "" : entry->values.front();
}

std::vector<TomlTable> read_toml(std::string_view text) {
  std::vector<TomlTable> tables(1);
  while (!text.empty()) {
    skip_space(text);
    if (text.starts_with('[')) {
      while (text.starts_with('[')) text.remove_prefix(1);
      tables.push_back({take_path(text), {}});
    } else if (!text.empty() && text[0] != '#') {
      const auto path = take_path(text);
      if (text.starts_with('=')) {
        text.remove_prefix(1);
        tables.back().entries.push_back({path.back(), take_values(text)});
      }
    }
    text.remove_prefix(std::min(text.find('\n'), text.size()));
  }
  return tables;
}

}  // namespace cistern::init
