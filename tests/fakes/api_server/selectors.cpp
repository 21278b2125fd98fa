#include "tests/fakes/api_server/selectors.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace cistern::fakes {
namespace {

// Pieces between commas that are in no parentheses.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    if (const auto part = trimmed(text.substr(begin, i - begin)); !part.empty()) parts.push_back(part);
    begin = i + 1;
  }
  return parts;
}

std::optional<std::string> label_of(const kube::Json& object, std::string_view key) {
  const auto pointer = kube::Json::json_pointer("/metadata/labels");
  if (!object.contains(pointer)) return std::nullopt;
  const auto& labels = object.at(pointer);
  const auto found = labels.find(key);
  return found != labels.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

// Of " in (a, b)" or " notin (a, b)" whether the value is among them.
bool is_among(const std::string& value, std::string_view list) {
  const auto open = list.find('(');
  const auto close = list.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos) return false;
  const auto values = split(list.substr(open + 1, close - open - 1));
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool label_matches(const kube::Json& object, std::string_view term) {
  if (term.front() == '!') return !label_of(object, trimmed(term.substr(1)));
  if (const auto at = term.find(" notin "); at != std::string_view::npos) {
    const auto value = label_of(object, trimmed(term.substr(0, at)));
    return !value || !is_among(*value, term.substr(at));
  }
  if (const auto at = term.find(" in "); at != std::string_view::npos) {
    const auto value = label_of(object, trimmed(term.substr(0, at)));
    return value && is_among(*value, term.substr(at));
  }
  const auto equal = term.find('=');
  if (equal == std::string_view::npos) return label_of(object, term).has_value();
  const bool negated = equal > 0 && term[equal - 1] == '!';
  const auto value = label_of(object, trimmed(term.substr(0, negated ? equal - 1 : equal)));
  auto wanted = term.substr(equal + 1);
  if (wanted.starts_with('=')) wanted.remove_prefix(1);
  return (value && *value == trimmed(wanted)) != negated;
}

std::string field_of(const kube::Json& object, std::string_view path) {
  std::string pointer = "/" + std::string(path);
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  const kube::Json::json_pointer at(pointer);
  return object.contains(at) && object.at(at).is_string() ? object.at(at).get<std::string>() : std::string();
}

}  // namespace

bool matches_labels(const kube::Json& object, std::string_view selector) {
  const auto terms = split(selector);
  return std::all_of(terms.begin(), terms.end(), [&](std::string_view term) { return label_matches(object, term); });
}

bool matches_fields(const kube::Json& object, std::string_view selector) {
  const auto terms = split(selector);
  return std::all_of(terms.begin(), terms.end(), [&](std::string_view term) {
    const auto equal = term.find('=');
    if (equal == std::string_view::npos) return false;
    const bool negated = equal > 0 && term[equal - 1] == '!';
    auto wanted = term.substr(equal + 1);
    if (wanted.starts_with('=')) wanted.remove_prefix(1);
    return (field_of(object, term.substr(0, negated ? equal - 1 : equal)) == wanted) != negated;
  });
}

}  // namespace cistern::fakes
