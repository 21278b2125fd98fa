#include "cache-agent/ecosystem/go/module.hpp"

#include <algorithm>
#include <array>

namespace cistern::go {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_alphanumeric(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }

bool all_digits(std::string_view text) { return std::all_of(text.begin(), text.end(), is_digit); }

bool module_char(char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'; }
// module.fileNameOK for ASCII, without '!' (it would be an escape) and '%' (a proxy on the way might decode it once more).
bool version_char(char c) { return is_alphanumeric(c) || std::string_view("#$&()+,-.=@[]^_{}~ ").find(c) != std::string_view::npos; }

// Names that Windows reserves, whatever their case.
bool is_windows_name(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return is_upper(c) ? static_cast<char>(c + 32) : c; });
  static constexpr std::array<std::string_view, 4> kNames = {"con", "prn", "aux", "nul"};
  if (std::find(kNames.begin(), kNames.end(), lower) != kNames.end()) return true;
  return lower.size() == 4 && (lower.starts_with("com") || lower.starts_with("lpt")) && lower[3] >= '1' && lower[3] <= '9';
}

// What is before an element's first dot may not be one of those, nor, in a module path, look like a Windows short name ("progra~1").
Result<void> check_windows(std::string_view element, bool module) {
  const auto name = element.substr(0, element.find('.'));
  if (is_windows_name(name)) return fail(ErrorCode::kInvalid, "\"{}\" is a reserved file name", name);
  const auto tilde = name.rfind('~');
  if (module && tilde != std::string_view::npos && tilde + 1 < name.size() && all_digits(name.substr(tilde + 1))) {
    return fail(ErrorCode::kInvalid, "an element ends in '~' and digits");
  }
  return {};
}

Result<void> check_module_element(std::string_view element) {
  if (element.empty()) return fail(ErrorCode::kInvalid, "an element is empty");
  if (element.front() == '.') return fail(ErrorCode::kInvalid, "an element begins with a dot");
  if (element.back() == '.') return fail(ErrorCode::kInvalid, "an element ends with a dot");
  if (!std::all_of(element.begin(), element.end(), module_char)) {
    return fail(ErrorCode::kInvalid, "only letters, digits and - . _ ~ are allowed in a module path");
  }
  return check_windows(element, true);
}

Result<void> check_first_element(std::string_view element) {
  if (element.front() == '-') return fail(ErrorCode::kInvalid, "it begins with a dash");
  if (element.find('.') == std::string_view::npos) return fail(ErrorCode::kInvalid, "the first element has no dot, so it is no host name");
  const auto host_char = [](char c) { return is_lower(c) || is_digit(c) || c == '.' || c == '-'; };
  if (!std::all_of(element.begin(), element.end(), host_char)) {
    return fail(ErrorCode::kInvalid, "the first element is a host name: lower-case letters, digits, dots and dashes");
  }
  return {};
}

// gopkg.in's paths end in ".vN" or ".vN-unstable".
bool has_gopkg_version(std::string_view path) {
  constexpr std::string_view kUnstable = "-unstable";
  if (path.ends_with(kUnstable)) path.remove_suffix(kUnstable.size());
  auto digits = path.size();
  while (digits > 0 && is_digit(path[digits - 1])) --digits;
  if (digits < 2 || digits == path.size() || path.substr(digits - 2, 2) != ".v") return false;
  const auto number = path.substr(digits);
  return number.front() != '0' || number == "0";
}

// A last element "vN" must be a major version from 2 on, without leading zeros or dots (module.SplitPathVersion).
bool has_right_major(std::string_view path) {
  if (path.starts_with("gopkg.in/")) return has_gopkg_version(path);
  auto at = path.size();
  bool dot = false;
  for (; at > 0 && (is_digit(path[at - 1]) || path[at - 1] == '.'); --at) dot = dot || path[at - 1] == '.';
  if (at <= 1 || at == path.size() || path.substr(at - 2, 2) != "/v") return true;
  const auto number = path.substr(at);
  return !dot && number.front() != '0' && number != "1";
}

// Takes a decimal number without leading zeros from the front.
bool take_number(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  if (end == 0 || (text.front() == '0' && end > 1)) return false;
  text.remove_prefix(end);
  return true;
}

// Dot-separated identifiers, none empty; numeric ones without leading zeros unless they are build metadata.
bool are_identifiers(std::string_view text, bool build) {
  while (true) {
    const auto dot = text.find('.');
    const auto one = text.substr(0, dot);
    if (one.empty() || !std::all_of(one.begin(), one.end(), [](char c) { return is_alphanumeric(c) || c == '-'; })) return false;
    if (!build && one.size() > 1 && one.front() == '0' && all_digits(one)) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

struct Semver {
  std::string_view patch;       // as written; empty if left out
  std::string_view prerelease;  // without its '-'
  std::string_view build;       // without its '+'
  bool full = false;            // all three numbers are written
  bool valid = false;
};

Semver parse_semver(std::string_view text) {
  Semver parsed;
  if (!text.starts_with('v')) return parsed;
  text.remove_prefix(1);
  for (int numbers = 0; numbers < 3; ++numbers) {
    if (numbers > 0) {
      if (text.empty()) {
        parsed.valid = true;
        return parsed;
      }
      if (text.front() != '.') return parsed;
      text.remove_prefix(1);
    }
    const auto before = text;
    if (!take_number(text)) return parsed;
    parsed.patch = before.substr(0, before.size() - text.size());
  }
  parsed.full = true;
  const auto plus = text.find('+');
  if (plus != std::string_view::npos) {
    parsed.build = text.substr(plus + 1);
    if (!are_identifiers(parsed.build, true)) return parsed;
    text = text.substr(0, plus);
  }
  if (!text.empty()) {
    parsed.prerelease = text.substr(1);
    if (text.front() != '-' || !are_identifiers(parsed.prerelease, false)) return parsed;
  }
  parsed.valid = true;
  return parsed;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size() + 8);
  for (const char c : text) {
    if (is_upper(c)) {
      escaped += '!';
      escaped += static_cast<char>(c + 32);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

Result<std::string> unescape(std::string_view escaped) {
  std::string text;
  text.reserve(escaped.size());
  for (std::size_t at = 0; at < escaped.size(); ++at) {
    const char c = escaped[at];
    if (is_upper(c)) return fail(ErrorCode::kInvalid, "upper-case letters are written as '!' and the lower-case letter");
    if (static_cast<unsigned char>(c) >= 0x80) return fail(ErrorCode::kInvalid, "only ASCII is allowed");
    if (c != '!') {
      text += c;
      continue;
    }
    ++at;
    if (at >= escaped.size() || !is_lower(escaped[at])) return fail(ErrorCode::kInvalid, "a '!' is not followed by a lower-case letter");
    text += static_cast<char>(escaped[at] - 32);
  }
  return text;
}

Result<void> check_module_path(std::string_view path) {
  if (path.empty()) return fail(ErrorCode::kInvalid, "the module path is empty");
  auto rest = path;
  bool first = true;
  while (true) {
    const auto slash = rest.find('/');
    const auto element = rest.substr(0, slash);
    if (auto checked = check_module_element(element); !checked) return checked;
    if (first) {
      if (auto checked = check_first_element(element); !checked) return checked;
    }
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
    first = false;
  }
  if (!has_right_major(path))
    return fail(ErrorCode::kInvalid, "the path's major version is not written as modules write it (/v2 and up; gopkg.in: .vN)");
  return {};
}

Result<void> check_version(std::string_view version) {
  if (version.empty()) return fail(ErrorCode::kInvalid, "the version is empty");
  if (!std::all_of(version.begin(), version.end(), version_char)) {
    return fail(ErrorCode::kInvalid, "the version has a character that versions can not have");
  }
  if (version.find("..") != std::string_view::npos) return fail(ErrorCode::kInvalid, "the version has two dots in a row");
  if (version.front() == '.' || version.back() == '.') return fail(ErrorCode::kInvalid, "the version begins or ends with a dot");
  return check_windows(version, false);
}

bool is_semver(std::string_view version) { return parse_semver(version).valid; }

bool is_canonical(std::string_view version) {
  const auto parsed = parse_semver(version);
  return parsed.valid && parsed.full && (parsed.build.empty() || parsed.build == "incompatible");
}

// ^v[0-9]+\.(0\.0-|\d+\.\d+-([^+]*\.)?0\.)\d{14}-[A-Za-z0-9]+(\+…)?$
bool is_pseudo_version(std::string_view version) {
  constexpr std::size_t kTime = 14;  // yyyymmddhhmmss
  const auto parsed = parse_semver(version);
  if (!parsed.valid || !parsed.full) return false;
  const auto dash = parsed.prerelease.rfind('-');
  if (dash == std::string_view::npos || dash < kTime) return false;
  const auto revision = parsed.prerelease.substr(dash + 1);
  if (revision.empty() || !std::all_of(revision.begin(), revision.end(), is_alphanumeric)) return false;
  if (!all_digits(parsed.prerelease.substr(dash - kTime, kTime))) return false;
  const auto base = parsed.prerelease.substr(0, dash - kTime);
  if (!base.empty()) return base == "0." || base.ends_with(".0.");
  const auto numbers = version.substr(0, version.find('-'));
  return numbers.ends_with(".0.0");
}

}  // namespace cistern::go
