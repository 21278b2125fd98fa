#include "base/glob.hpp"

#include <algorithm>

namespace cistern {
namespace {

// One "[…]" at pattern[at] against c; moves `at` behind it. False also for a broken one; `broken` then says so.
bool match_class(std::string_view pattern, std::size_t& at, char c, bool& broken) {
  const auto take = [&](char& out) {
    if (at >= pattern.size() || pattern[at] == ']' || pattern[at] == '-') return false;
    if (pattern[at] == '\\') ++at;
    if (at >= pattern.size()) return false;
    out = pattern[at++];
    return true;
  };
  ++at;  // '['
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool matched = false;
  bool first = true;
  while (first || at >= pattern.size() || pattern[at] != ']') {
    first = false;
    char low = 0;
    if (!take(low)) {
      broken = true;
      return false;
    }
    char high = low;
    if (at < pattern.size() && pattern[at] == '-') {
      ++at;
      if (!take(high)) {
        broken = true;
        return false;
      }
    }
    matched = matched || (low <= c && c <= high);
  }
  ++at;  // ']'
  return matched != negated;
}

// path.Match; linear back-tracking over the last '*' only, as within one element there is nothing else to try.
bool match(std::string_view pattern, std::string_view name, bool& broken) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_name = 0;
  while (n < name.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
      continue;
    }
    if (p < pattern.size() && n < name.size()) {
      std::size_t next = p;
      bool same = false;
      if (pattern[p] == '?') {
        same = name[n] != '/';
        ++next;
      } else if (pattern[p] == '[') {
        same = match_class(pattern, next, name[n], broken) && name[n] != '/';
        if (broken) return false;
      } else {
        if (pattern[p] == '\\') ++next;
        if (next >= pattern.size()) {
          broken = true;
          return false;
        }
        same = pattern[next] == name[n];
        ++next;
      }
      if (same) {
        p = next;
        ++n;
        continue;
      }
    }
    if (star == std::string_view::npos || star_name >= name.size() || name[star_name] == '/') return false;
    p = star + 1;
    n = ++star_name;
  }
  return true;
}

}  // namespace

bool matches_module_pattern(std::string_view pattern, std::string_view path) {
  while (pattern.ends_with('/')) pattern.remove_suffix(1);
  if (pattern.empty()) return false;
  // The prefix of the path that has as many elements as the pattern.
  auto slashes = std::count(pattern.begin(), pattern.end(), '/');
  std::size_t end = 0;
  for (; end < path.size(); ++end) {
    if (path[end] == '/' && slashes-- == 0) break;
  }
  if (end == path.size() && slashes > 0) return false;
  bool broken = false;
  return match(pattern, path.substr(0, end), broken);
}

bool matches_any_module_pattern(const std::vector<std::string>& patterns, std::string_view path) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) { return matches_module_pattern(pattern, path); });
}

Result<void> check_module_pattern(std::string_view pattern) {
  const auto shown = [&](std::string_view why) {
    return fail(ErrorCode::kInvalid,
                "\"{}\" is not a module pattern: {}; write globs of path prefixes, as in \"*.corp.example\" or \"github.com/acme/*\"",
                pattern, why);
  };
  if (pattern.empty()) return shown("it is empty");
  if (pattern.find_first_of(", \t\r\n") != std::string_view::npos)
    return shown("a pattern has no comma or white space; make it two list entries");
  for (std::size_t at = 0; at < pattern.size();) {
    bool broken = false;
    if (pattern[at] == '[') {
      match_class(pattern, at, 'a', broken);
    } else if (pattern[at] == '\\') {
      broken = at + 1 >= pattern.size();
      at += 2;
    } else {
      ++at;
    }
    if (broken) return shown("a bracket or an escape is not closed");
  }
  return {};
}

}  // namespace cistern
