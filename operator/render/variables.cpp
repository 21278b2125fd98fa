#include "operator/render/variables.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "yaml/node.hpp"

namespace cistern::render {
namespace {

constexpr std::array<std::pair<std::string_view, VariablesFormat>, 5> kFormats = {{
    {"sh", VariablesFormat::kShell},
    {"dotenv", VariablesFormat::kDotenv},
    {"github", VariablesFormat::kGitHub},
    {"gitlab", VariablesFormat::kGitLab},
    {"json", VariablesFormat::kJson},
}};

bool is_plain(const std::string& value) {
  return std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:@%+,=~*").find(c) != std::string_view::npos;
  });
}

std::string double_quoted(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
    } else {
      if (c == '"' || c == '\\' || c == '$' || c == '`') text += '\\';
      text += c;
    }
  }
  return text + '"';
}

// Whether one of the value's lines is this one; the runner ends lines at CR as well.
bool has_line(std::string_view value, std::string_view line) {
  while (true) {
    const auto end = std::min(value.find_first_of("\r\n"), value.size());
    if (value.substr(0, end) == line) return true;
    if (end == value.size()) return false;
    value.remove_prefix(end + 1);
  }
}

}  // namespace

Result<VariablesFormat> variables_format(const std::string& name) {
  const auto found = std::ranges::find(kFormats, name, &std::pair<std::string_view, VariablesFormat>::first);
  if (found != kFormats.end()) return found->second;
  return fail(ErrorCode::kInvalid, "\"{}\" is no format; write sh, dotenv, github, gitlab or json", name);
}

Result<std::string> to_text(const Variables& variables, VariablesFormat format) {
  switch (format) {
    case VariablesFormat::kShell: return to_shell(variables);
    case VariablesFormat::kDotenv: return to_dotenv(variables);
    case VariablesFormat::kGitHub: return to_github(variables);
    case VariablesFormat::kGitLab: return to_gitlab(variables);
    case VariablesFormat::kJson: break;
  }
  yaml::Json json = yaml::Json::object();
  for (const auto& [name, value] : variables) json[name] = value;
  return json.dump(2) + "\n";
}

std::string to_shell(const Variables& variables) {
  std::string text;
  for (const auto& [name, value] : variables) {
    std::string quoted;
    for (const char c : value) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += fmt::format("export {}='{}'\n", name, quoted);
  }
  return text;
}

std::string to_dotenv(const Variables& variables) {
  std::string text;
  for (const auto& [name, value] : variables) {
    const bool single = value.find('\'') == std::string::npos;
    text += fmt::format("{}={}\n", name, is_plain(value) ? value : single ? "'" + value + "'" : double_quoted(value));
  }
  return text;
}

std::string to_github(const Variables& variables) {
  std::string text;
  for (const auto& [name, value] : variables) {
    if (value.find_first_of("\r\n") == std::string::npos) {
      text += fmt::format("{}={}\n", name, value);
      continue;
    }
    std::string delimiter = "CISTERN_END";
    for (int i = 2; has_line(value, delimiter); ++i) delimiter = fmt::format("CISTERN_END_{}", i);
    text += fmt::format("{0}<<{1}\n{2}\n{1}\n", name, delimiter, value);
  }
  return text;
}

Result<std::string> to_gitlab(const Variables& variables) {
  std::string text;
  for (const auto& [name, value] : variables) {
    if (value.find_first_of(" \t\r\n\"'") != std::string::npos) {
      return fail(ErrorCode::kInvalid,
                  "{}: GitLab's dotenv reports hold no white space, line break or quote in a value; set it in .gitlab-ci.yml", name);
    }
    text += fmt::format("{}={}\n", name, value);
  }
  return text;
}

}  // namespace cistern::render
