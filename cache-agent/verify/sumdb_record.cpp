#include "cache-agent/verify/sumdb_record.hpp"

#include <algorithm>

namespace cistern::verify {
namespace {

constexpr std::size_t kMaxLength = 1024;

// Printable ASCII, without what a path element or an escape would make ambiguous; upper case is escaped by the caller.
bool may_stand(char c) { return c > ' ' && c < 0x7f && std::string_view("!%?#@\\\"<>|*:").find(c) == std::string_view::npos; }

bool is_path(std::string_view text) {
  if (text.empty() || text.size() > kMaxLength || !std::all_of(text.begin(), text.end(), may_stand)) return false;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const std::string_view element = text.substr(begin, end - begin);
    if (element.empty() || element == "." || element == "..") return false;
    begin = end + 1;
  }
  return true;
}

void append_escaped(std::string& path, std::string_view text) {
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper) path += '!';
    path += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
}

}  // namespace

Result<std::string> lookup_path(std::string_view module, std::string_view version) {
  if (!is_path(module) || !is_path(version) || version.find('/') != std::string_view::npos) {
    return fail(ErrorCode::kInvalid, "no checksum database can be asked for \"{}@{}\"", module.substr(0, 200), version.substr(0, 200));
  }
  std::string path = "/lookup/";
  append_escaped(path, module);
  path += '@';
  append_escaped(path, version);
  return path;
}

Result<std::string> hash_in_record(std::string_view text, std::string_view module, std::string_view version, bool go_mod) {
  const std::string start = fmt::format("{} {}{} h1:", module, version, go_mod ? "/go.mod" : "");
  std::string_view found;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.starts_with(start)) continue;
    const std::string_view hash = line.substr(start.size() - 3);
    if (!found.empty() && found != hash) return fail(ErrorCode::kCorrupt, "the record has two hashes for {}@{}", module, version);
    found = hash;
  }
  if (found.empty()) return fail(ErrorCode::kCorrupt, "the record has no h1 hash for {}@{}{}", module, version, go_mod ? "/go.mod" : "");
  return std::string(found);
}

}  // namespace cistern::verify
