// Header fields as the fakes pass them around: in the order sent, names as sent, compared without case.
#pragma once

#include <strings.h>

#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cistern::fakes {

using Fields = std::vector<std::pair<std::string, std::string>>;

inline bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// The first field of that name; empty if there is none.
inline std::string field(const Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (same_name(key, name)) return value;
  }
  return {};
}

inline bool has_field(const Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (same_name(key, name)) return true;
  }
  return false;
}

// The lines of a head after its first one, "Name: value\r\n" each.
inline Fields parse_fields(std::string_view lines) {
  Fields fields;
  while (!lines.empty()) {
    const auto end = lines.find("\r\n");
    const auto line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    auto value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front()))) value.remove_prefix(1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) value.remove_suffix(1);
    fields.emplace_back(line.substr(0, colon), value);
  }
  return fields;
}

}  // namespace cistern::fakes
