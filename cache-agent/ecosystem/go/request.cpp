#include "cache-agent/ecosystem/go/request.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "cache-agent/ecosystem/go/module.hpp"

namespace cistern::go {
namespace {

constexpr std::string_view kSumDb = "/sumdb/";

template <class... Args>
Failure not_found(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::kNotFound, "not found: {}", fmt::format(format, std::forward<Args>(args)...));
}

// Takes `suffix` from the end, if it is there.
bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// Dots and slashes have no reason to be encoded, other than to get past a check that looks at the encoded form.
bool has_encoded_separator(std::string_view path) {
  for (auto at = path.find('%'); at != std::string_view::npos && at + 2 < path.size(); at = path.find('%', at + 1)) {
    const char low = static_cast<char>(path[at + 2] | 0x20);
    if ((path[at + 1] == '2' && (low == 'e' || low == 'f')) || (path[at + 1] == '5' && low == 'c')) return true;
  }
  return false;
}

Result<std::string> decode(std::string_view path) {
  if (path.size() > kMaxPath) return not_found("the path is longer than {} bytes", kMaxPath);
  if (has_encoded_separator(path)) return not_found("dots and slashes are not to be percent-encoded");
  auto decoded = percent_decode(path);
  if (!decoded) return not_found("the path has a broken percent escape");
  const auto ordinary = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '\\'; };
  if (!std::all_of(decoded->begin(), decoded->end(), ordinary)) return not_found("the path has characters that are not printable ASCII");
  if (!decoded->starts_with('/')) return not_found("this is a GOPROXY; ask for /<module>/@v/list and the like");
  if (decoded->find("//") != std::string::npos) return not_found("the path has an empty element");
  if (decoded->find("..") != std::string::npos) return not_found("the path has two dots in a row");
  return decoded;
}

// What a URL's path may hold as it is stays; the rest of what a version may hold ('#', '[', '^', ' ' …) is encoded.
std::string url_path(std::string_view path) {
  std::string encoded;
  encoded.reserve(path.size());
  for (const char c : path) {
    if (std::string_view("/!@+$&(),=").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += percent_encode({&c, 1});
    }
  }
  return encoded;
}

Result<std::string> module_of(std::string_view escaped) {
  auto module = unescape(escaped);
  if (!module) return not_found("bad module path \"{}\": {}", escaped, module.error().message);
  if (auto checked = check_module_path(*module); !checked) return not_found("bad module path \"{}\": {}", escaped, checked.error().message);
  return module;
}

Result<void> set_version(Request& request, std::string_view escaped) {
  auto version = unescape(escaped);
  if (!version) return not_found("bad version \"{}\" of {}: {}", escaped, request.module, version.error().message);
  if (auto checked = check_version(*version); !checked) {
    return not_found("bad version \"{}\" of {}: {}", escaped, request.module, checked.error().message);
  }
  request.version = std::move(*version);
  request.canonical = is_canonical(request.version);
  request.pseudo = request.canonical && is_pseudo_version(request.version);
  return {};
}

Result<Request> parse_version_file(Request request, std::string_view file) {
  if (take_suffix(file, ".info")) {
    request.kind = Request::kInfo;
  } else if (take_suffix(file, ".mod")) {
    request.kind = Request::kMod;
  } else if (take_suffix(file, ".zip")) {
    request.kind = Request::kZip;
  } else {
    return not_found("\"@v/{}\" is neither list nor <version>.info, .mod or .zip", file);
  }
  if (auto set = set_version(request, file); !set) return fail(set.error());
  if (request.kind != Request::kInfo && !request.canonical) {
    return not_found("{} is not a canonical version of {}; ask for @v/{}.info to learn which one it stands for", request.version,
                     request.module, escape(request.version));
  }
  return request;
}

Result<Request> parse_module(std::string_view path) {
  Request request;
  request.upstream_path = url_path(path);
  constexpr std::string_view kVersions = "/@v/";
  const auto at = path.find(kVersions);
  auto escaped = path.substr(0, at);
  const bool latest = at == std::string_view::npos && take_suffix(escaped, "/@latest");
  if (at == std::string_view::npos && !latest) {
    return not_found("\"{}\" is no request of the GOPROXY protocol: neither @v/… nor @latest", path);
  }
  if (!escaped.empty()) escaped.remove_prefix(1);
  auto module = module_of(escaped);
  if (!module) return fail(module.error());
  request.module = std::move(*module);
  if (latest) {
    request.kind = Request::kLatest;
    return request;
  }
  const auto file = path.substr(at + kVersions.size());
  if (file == "list") return request;
  return parse_version_file(std::move(request), file);
}

bool is_number(std::string_view text, std::size_t max_digits, unsigned max) {
  if (text.empty() || text.size() > max_digits || (text.size() > 1 && text.front() == '0')) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= max;
}

bool is_three_digits(std::string_view text) {
  return text.size() == 3 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Takes what is before the next '/', and the '/'.
std::string_view take_element(std::string_view& text) {
  const auto slash = text.find('/');
  const auto element = text.substr(0, slash);
  text = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  return element;
}

// "8/0/x001/234" or "8/data/001.p/17": tlog.ParseTilePath, which takes one spelling only for each tile.
bool is_tile(std::string_view text) {
  if (text.ends_with('/')) return false;
  const auto height = take_element(text);
  const auto level = take_element(text);
  if (!is_number(height, 2, 30) || height == "0" || !(is_number(level, 2, 63) || level == "data")) return false;
  bool first = true;
  for (auto part = take_element(text);; part = take_element(text), first = false) {
    if (part.starts_with('x')) {
      if (!is_three_digits(part.substr(1)) || (first && part == "x000") || text.empty()) return false;
      continue;
    }
    const bool partial = take_suffix(part, ".p");
    if (!is_three_digits(part)) return false;
    if (!partial) return text.empty();
    const auto limit = (1U << static_cast<unsigned>(std::stoi(std::string(height)))) - 1;
    return is_number(text, 9, limit) && text != "0";
  }
}

bool is_database_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view(".-_:/").find(c) != std::string_view::npos;
  };
  return !name.empty() && name.front() != '/' && name.front() != '.' && name.find("..") == std::string_view::npos &&
         name.find("/.") == std::string_view::npos && std::all_of(name.begin(), name.end(), allowed);
}

Result<void> parse_lookup(Request& request, std::string_view what) {
  const auto at = what.find('@');
  if (at == std::string_view::npos) return not_found("a look-up is lookup/<module>@<version>, not \"lookup/{}\"", what);
  auto module = module_of(what.substr(0, at));
  if (!module) return fail(module.error());
  request.module = std::move(*module);
  if (auto set = set_version(request, what.substr(at + 1)); !set) return set;
  if (!request.canonical) return not_found("the checksum database knows canonical versions only, and {} is none", request.version);
  return {};
}

Result<Request> parse_sumdb(std::string_view path) {
  constexpr std::string_view kLookup = "/lookup/";
  constexpr std::string_view kTile = "/tile/";
  Request request;
  auto name = path.substr(kSumDb.size());
  if (const auto lookup = name.find(kLookup); lookup != std::string_view::npos) {
    request.kind = Request::kSumDbLookup;
    request.tail = name.substr(lookup);
    if (auto parsed = parse_lookup(request, name.substr(lookup + kLookup.size())); !parsed) return fail(parsed.error());
    name = name.substr(0, lookup);
  } else if (const auto tile = name.find(kTile); tile != std::string_view::npos) {
    request.kind = Request::kSumDbTile;
    request.tail = name.substr(tile);
    if (!is_tile(name.substr(tile + kTile.size()))) return not_found("\"{}\" is no tile of a checksum database", request.tail);
    name = name.substr(0, tile);
  } else if (take_suffix(name, "/supported")) {
    request.kind = Request::kSumDbSupported;
    request.tail = "/supported";
  } else if (take_suffix(name, "/latest")) {
    request.kind = Request::kSumDbLatest;
    request.tail = "/latest";
  } else {
    return not_found("\"{}\" is no request to a checksum database", path);
  }
  if (!is_database_name(name)) return not_found("\"{}\" is no name of a checksum database", name);
  request.sumdb = name;
  request.tail = url_path(request.tail);
  request.upstream_path = std::string(kSumDb) + request.sumdb + request.tail;
  return request;
}

}  // namespace

bool Request::immutable() const {
  switch (kind) {
    case kInfo: return canonical;
    case kMod:
    case kZip:
    case kSumDbLookup:
    case kSumDbTile: return true;
    case kList:
    case kLatest:
    case kSumDbSupported:
    case kSumDbLatest: return false;
  }
  return false;
}

Result<Request> parse(std::string_view path) {
  const auto decoded = decode(path);
  if (!decoded) return fail(decoded.error());
  return decoded->starts_with(kSumDb) ? parse_sumdb(*decoded) : parse_module(*decoded);
}

std::optional<ViewPath> split_view(std::string_view path) {
  constexpr std::string_view kGo = "/go";
  if (!path.starts_with(kGo)) return std::nullopt;
  path.remove_prefix(kGo.size());
  if (!path.starts_with('/')) return std::nullopt;
  if (!path.starts_with("/~")) return ViewPath{"", path};
  path.remove_prefix(2);
  const auto slash = std::min(path.find('/'), path.size());
  return ViewPath{path.substr(0, slash), path.substr(slash)};
}

std::string_view content_type(Request::Kind kind) {
  switch (kind) {
    case Request::kLatest:
    case Request::kInfo: return "application/json";
    case Request::kZip: return "application/zip";
    case Request::kSumDbTile: return "application/octet-stream";
    case Request::kList:
    case Request::kMod:
    case Request::kSumDbSupported:
    case Request::kSumDbLatest:
    case Request::kSumDbLookup: break;
  }
  return "text/plain; charset=utf-8";
}

std::optional<std::chrono::milliseconds> time_to_live(const Request& request, const config::GoFreshness& freshness) {
  if (request.immutable()) return std::nullopt;
  return request.kind == Request::kList ? freshness.list : freshness.latest;
}

}  // namespace cistern::go
