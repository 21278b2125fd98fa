#include "cache-agent/ecosystem/oci/reference.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace cistern::oci {
namespace {

bool is_component_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_component(std::string_view text) {
  while (true) {
    std::size_t end = 0;
    while (end < text.size() && is_component_char(text[end])) ++end;
    if (end == 0) return false;
    text.remove_prefix(end);
    if (text.empty()) return true;
    if (text.front() == '-') {
      text.remove_prefix(std::min(text.find_first_not_of('-'), text.size()));
    } else if (text.starts_with("__")) {
      text.remove_prefix(2);
    } else if (text.front() == '_' || text.front() == '.') {
      text.remove_prefix(1);
    } else {
      return false;
    }
  }
}

}  // namespace

std::string canonical_registry(std::string_view name) {
  auto lower = lower_case(name);
  if (const auto mark = lower.rfind('_'); mark != std::string::npos && mark + 1 < lower.size() &&
                                          lower.find_first_not_of("0123456789", mark + 1) == std::string::npos &&
                                          (lower.find('.') < mark || lower.compare(0, mark, "localhost") == 0)) {
    lower[mark] = ':';
  }
  return lower == "index.docker.io" || lower == "registry-1.docker.io" ? "docker.io" : lower;
}

bool is_repository(std::string_view name) {
  if (name.size() > 255) return false;
  while (true) {
    const auto slash = name.find('/');
    if (!is_component(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

bool is_tag(std::string_view tag) {
  const auto word = [](char c) { return is_component_char(c) || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !tag.empty() && tag.size() <= 128 && word(tag.front()) &&
         std::all_of(tag.begin(), tag.end(), [&](char c) { return word(c) || c == '.' || c == '-'; });
}

bool looks_like_registry(std::string_view element) {
  return element.find_first_of(".:") != std::string_view::npos || canonical_registry(element) == "localhost";
}

}  // namespace cistern::oci
